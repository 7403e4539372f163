//! ISO 8583 bytes to messages and back: dialects as data, fields, bitmaps, TLV, framing, masking
