//! The agent against a host session in memory: no sockets, and time moves only when nothing else can.

mod crashes;
mod frail;
mod install;
mod macs;
mod rotation;
mod tasks;
mod world;
