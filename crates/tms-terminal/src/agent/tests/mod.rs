//! The agent against a host session in memory: no sockets, and time moves only when nothing else can.

mod install;
mod macs;
mod rotation;
mod tasks;
mod world;
