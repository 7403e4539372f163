//! Development only: test certificates, fault proxy, simulated estate
