//! The estate: types, rules and decisions, without I/O
