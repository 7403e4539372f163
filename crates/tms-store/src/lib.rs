//! Durable state of the estate behind one trait
