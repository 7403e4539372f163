//! The kinds of problem: a stable name each, and the HTTP status that goes with it.

macro_rules! codes {
    ($($name:ident = $status:literal $text:literal: $meaning:literal,)*) => {
        /// A kind of problem. Its name is what programs look at, and never changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $meaning] $name,)*
        }

        impl Code {
            /// Every kind there is.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name, as it stands in a problem document.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The HTTP status of answers with this problem.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// What it means, a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }
        }
    };
}

codes! {
    BodyIncomplete = 400 "body_incomplete": "The upload broke off.",
    BodyInvalid = 400 "body_invalid": "The body is no JSON, or not of the shape that this call takes.",
    IdempotencyKeyInvalid = 400 "idempotency_key_invalid": "The Idempotency-Key is too long, or not of visible characters.",
    NameInvalid = 400 "name_invalid": "A name in the address is none.",
    QueryInvalid = 400 "query_invalid": "The query has a member that is unknown or has no such value.",
    CredentialsWrong = 401 "credentials_wrong": "User or password is wrong.",
    TokenInvalid = 401 "token_invalid": "The token is unknown or not valid any more.",
    TokenMissing = 401 "token_missing": "There is no bearer token.",
    RoleInsufficient = 403 "role_insufficient": "Who asks may not do this.",
    FirmwareNotFound = 404 "firmware_not_found": "There is no such package.",
    GroupNotFound = 404 "group_not_found": "There is no such group.",
    NotFound = 404 "not_found": "There is nothing of this name or at this address.",
    OperationNotFound = 404 "operation_not_found": "There is no such operation.",
    TerminalNotFound = 404 "terminal_not_found": "There is no such terminal.",
    MethodNotAllowed = 405 "method_not_allowed": "The address does not take this method.",
    Conflict = 409 "conflict": "What is asked for contradicts what is there.",
    OperationState = 409 "operation_state": "The operation has come too far for this.",
    RequestTimeout = 408 "request_timeout": "The request took too long and was given up.",
    RequestInProgress = 409 "request_in_progress": "The same request is being worked on.",
    RequestInterrupted = 409 "request_interrupted": "The server stopped or failed while it worked on this request, which may have been done.",
    PreconditionFailed = 412 "precondition_failed": "What is to be changed is not what the caller has seen.",
    BodyTooLarge = 413 "body_too_large": "The body has more bytes than this call takes.",
    MediaType = 415 "media_type": "The body is not of the media type that this call takes.",
    FirmwareImageChanged = 422 "firmware_image_changed": "The image is not the one that was signed.",
    FirmwareModelMismatch = 422 "firmware_model_mismatch": "The package is for other hardware.",
    FirmwarePackageInvalid = 422 "firmware_package_invalid": "The upload is no firmware package.",
    FirmwareSignatureInvalid = 422 "firmware_signature_invalid": "The package lacks signatures that this server trusts.",
    FirmwareTrustRootMissing = 422 "firmware_trust_root_missing": "This server has no keys to check packages with.",
    IdempotencyKeyReused = 422 "idempotency_key_reused": "The Idempotency-Key stands for another request.",
    Invalid = 422 "invalid": "What is asked for is of the right shape and makes no sense.",
    ParameterInvalid = 422 "parameter_invalid": "A parameter cannot have this value.",
    ParameterUnknown = 422 "parameter_unknown": "There is no such parameter.",
    SelectorInvalid = 422 "selector_invalid": "The selector is not understood; `selector` says where.",
    SelectorUnknown = 422 "selector_unknown": "No selector is saved under this name.",
    PreconditionRequired = 428 "precondition_required": "The change has to say which revision it is made for.",
    TooManyRequests = 429 "too_many_requests": "There are too many calls; `Retry-After` says when to come back.",
    Internal = 500 "internal": "The server could not finish this, and has written why into its log.",
    ObjectsUnavailable = 503 "objects_unavailable": "The object folder cannot be read or written.",
    Overloaded = 503 "overloaded": "The server works on as many requests as it may at once.",
    StoreUnavailable = 503 "store_unavailable": "The store does not answer.",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_given_to_one_kind_of_error_status() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!((400..600).contains(&code.status()) && code.meaning().ends_with('.'), "{code:?}");
        }
    }
}
