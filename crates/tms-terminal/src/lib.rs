//! A simulated POS terminal with virtual hardware, durable state and faults on request
