//! The terminal management server: listeners, sessions, dispatch, REST; library and binary
