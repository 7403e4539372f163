//! End-to-end tests live in `tests/` beside this file: `bad_input` (what peers do wrong, what they are
//! told, what counts it, and that nobody else notices), `convergence` (what breaks, and that desired
//! and reported state agree in the end) and `tidy` (the rules of this repository).
