//! What makes a firmware image trustworthy: signed manifests, packages, the install state machine
