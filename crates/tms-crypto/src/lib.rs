//! Key check values, key blocks, sealed secrets, credential verifiers and the vault
