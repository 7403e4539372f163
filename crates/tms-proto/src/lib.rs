//! The terminal management protocol without I/O: host session, terminal session, transfers, rotation
