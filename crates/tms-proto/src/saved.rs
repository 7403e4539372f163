//! How bytes are written in what a terminal saves.

/// Bytes as hexadecimal text: a saved state is as long whatever the bytes are, which a disk that
/// fails at its n-th byte can tell. States of earlier versions have lists of numbers.
pub(crate) mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Numbers(Vec<u8>),
    }

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Text(text) => hex::decode(text).map_err(D::Error::custom),
            Written::Numbers(bytes) => Ok(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Kept(#[serde(with = "super::hexadecimal")] Vec<u8>);

    #[test]
    fn bytes_are_as_long_in_a_saved_state_whatever_they_are() {
        assert_eq!(serde_json::to_string(&Kept(vec![0, 255])).unwrap(), "\"00ff\"");
        assert_eq!(serde_json::from_str::<Kept>("\"00ff\"").unwrap(), Kept(vec![0, 255]));
    }

    #[test]
    fn what_an_earlier_version_saved_is_read() {
        assert_eq!(serde_json::from_str::<Kept>("[0,255]").unwrap(), Kept(vec![0, 255]));
        assert!(serde_json::from_str::<Kept>("\"0\"").is_err());
    }
}
