//! The agent against a host session in memory: no sockets, and time moves only when nothing else can.

mod alarms;
mod anything;
mod commands;
mod crashes;
mod downloads;
mod frail;
mod host;
mod install;
mod macs;
mod plans;
mod pushes;
mod refused;
mod rotation;
mod settling;
mod tasks;
mod world;
