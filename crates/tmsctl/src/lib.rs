//! The operator's command line: REST client, and off-line message and signing tools
