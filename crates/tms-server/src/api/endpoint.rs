//! Every endpoint in one table: who may call it, and what it can fail with besides what every call can.
//! A call of what is not in the table is refused, and the document of the interface is completed from it.

use tms_core::UserRole::{self, Administrator, Operator, ReadOnly};

use super::code::Code::{self, *};

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// Anybody, without a token.
    Anybody,
    /// Who has at least this role.
    Least(UserRole),
}

/// What an endpoint makes of conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// Nothing.
    None,
    /// Its answer has the tag of the revision that a change is made for.
    Tag,
    /// Its answer has a tag, and is not sent to who has it.
    Read,
    /// A change may name the revision that it is made for.
    May,
    /// A change must.
    Must,
}

/// One endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// Its method in capitals.
    pub(super) method: &'static str,
    /// Its address, with `{names}`.
    pub(super) path: &'static str,
    pub(super) who: Who,
    /// Whether its body is JSON, and so can be wrong in the ways of JSON.
    pub(super) json: bool,
    /// Whether it makes something, and may be repeated under an `Idempotency-Key`.
    pub(super) repeatable: bool,
    /// What is asked of the revision before, by `If-Match` and `If-None-Match`.
    pub(super) condition: Condition,
    /// Whether it takes as long as its body or its answer does, and so has no time-out of its own.
    pub(super) streams: bool,
    /// What else can be wrong.
    problems: &'static [Code],
}

/// What any call can fail with.
const ALWAYS: &[Code] = &[Internal, StoreUnavailable];
/// What any call under `/api` can fail with.
const GUARDED: &[Code] = &[TooManyRequests, RequestTimeout, Overloaded];
const WITH_TOKEN: &[Code] = &[TokenMissing, TokenInvalid, RoleInsufficient];
const WITH_JSON: &[Code] = &[BodyInvalid, BodyTooLarge, MediaType];

const REPEATABLE: &[Code] =
    &[IdempotencyKeyInvalid, IdempotencyKeyReused, RequestInProgress, RequestInterrupted, BodyTooLarge];

const PAGE: &[Code] = &[QueryInvalid];
const SELECTED: &[Code] = &[SelectorInvalid, SelectorUnknown];
const GROUP: &[Code] = &[NameInvalid, GroupNotFound];
const TERMINAL: &[Code] = &[NameInvalid, TerminalNotFound];
const TERMINAL_PAGE: &[Code] = &[NameInvalid, QueryInvalid, TerminalNotFound];

/// The table.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    open("GET", "/healthz", &[]),
    open("GET", "/readyz", &[]),
    open("GET", "/metrics", &[]),
    open("GET", "/api/v1/openapi.json", &[]),
    open("POST", "/api/v1/login", &[CredentialsWrong]).json(),
    least(ReadOnly, "GET", "/api/v1/whoami", &[]),
    least(ReadOnly, "GET", "/api/v1/terminals", &[QueryInvalid, SelectorInvalid, SelectorUnknown]),
    least(Administrator, "POST", "/api/v1/terminals", &[Conflict, Invalid]).json().repeatable(),
    least(ReadOnly, "GET", "/api/v1/terminals/{tid}", TERMINAL).condition(Condition::Read),
    least(ReadOnly, "GET", "/api/v1/terminals/{tid}/place", TERMINAL).condition(Condition::Read),
    least(
        Operator,
        "PATCH",
        "/api/v1/terminals/{tid}/place",
        &[NameInvalid, TerminalNotFound, GroupNotFound, Invalid],
    )
    .json()
    .condition(Condition::May),
    least(
        Administrator,
        "POST",
        "/api/v1/terminals/{tid}/replace",
        &[NameInvalid, TerminalNotFound, Conflict],
    )
    .json()
    .repeatable(),
    least(ReadOnly, "GET", "/api/v1/terminals/{tid}/parameters", TERMINAL).condition(Condition::Tag),
    least(
        Operator,
        "PATCH",
        "/api/v1/terminals/{tid}/parameters",
        &[NameInvalid, TerminalNotFound, ParameterUnknown, ParameterInvalid, Invalid],
    )
    .json()
    .condition(Condition::May),
    least(
        Operator,
        "POST",
        "/api/v1/terminals/{tid}/firmware",
        &[NameInvalid, TerminalNotFound, FirmwareNotFound, FirmwareModelMismatch],
    )
    .json()
    .repeatable(),
    least(ReadOnly, "GET", "/api/v1/terminals/{tid}/batch", TERMINAL),
    least(Operator, "POST", "/api/v1/terminals/{tid}/reset", TERMINAL).repeatable(),
    least(
        Administrator,
        "POST",
        "/api/v1/terminals/{tid}/credentials/{role}/rotate",
        &[NameInvalid, TerminalNotFound, NotFound, Conflict],
    )
    .repeatable(),
    least(
        Operator,
        "POST",
        "/api/v1/terminals/{tid}/plan/withdraw",
        &[NameInvalid, TerminalNotFound, OperationState, Conflict, Invalid],
    )
    .repeatable(),
    least(ReadOnly, "GET", "/api/v1/terminals/{tid}/operations", TERMINAL_PAGE),
    least(
        Operator,
        "POST",
        "/api/v1/terminals/{tid}/operations",
        &[NameInvalid, TerminalNotFound, FirmwareNotFound, FirmwareModelMismatch, Invalid],
    )
    .json()
    .repeatable(),
    least(ReadOnly, "GET", "/api/v1/terminals/{tid}/logs", TERMINAL_PAGE),
    least(Operator, "POST", "/api/v1/terminals/{tid}/logs", TERMINAL).repeatable(),
    least(ReadOnly, "GET", "/api/v1/operations/{id}", &[NameInvalid, OperationNotFound]),
    least(
        Operator,
        "POST",
        "/api/v1/operations/{id}/cancel",
        &[NameInvalid, OperationNotFound, OperationState, Conflict],
    )
    .repeatable(),
    least(
        Operator,
        "POST",
        "/api/v1/batches",
        &[QueryInvalid, SelectorInvalid, SelectorUnknown, FirmwareNotFound, Invalid],
    )
    .json()
    .repeatable(),
    least(ReadOnly, "GET", "/api/v1/batches/{id}", &[NameInvalid, NotFound]),
    least(Operator, "POST", "/api/v1/batches/{id}/cancel", &[NameInvalid, NotFound]).repeatable(),
    least(ReadOnly, "GET", "/api/v1/rollouts", PAGE),
    least(
        Operator,
        "POST",
        "/api/v1/rollouts",
        &[QueryInvalid, SelectorInvalid, SelectorUnknown, FirmwareNotFound, Conflict, Invalid],
    )
    .json()
    .repeatable(),
    least(ReadOnly, "GET", "/api/v1/rollouts/{id}", &[NameInvalid, NotFound]).condition(Condition::Tag),
    least(ReadOnly, "GET", "/api/v1/rollouts/{id}/targets", &[NameInvalid, QueryInvalid, NotFound]),
    rollout("/api/v1/rollouts/{id}/start"),
    rollout("/api/v1/rollouts/{id}/pause"),
    rollout("/api/v1/rollouts/{id}/resume"),
    rollout("/api/v1/rollouts/{id}/approve").json(),
    rollout("/api/v1/rollouts/{id}/abort"),
    rollout("/api/v1/rollouts/{id}/finish"),
    least(ReadOnly, "GET", "/api/v1/groups", &[NameInvalid, QueryInvalid, GroupNotFound]),
    least(Administrator, "POST", "/api/v1/groups", &[Conflict, Invalid])
        .json()
        .repeatable()
        .condition(Condition::Tag),
    least(ReadOnly, "GET", "/api/v1/groups/{group}", GROUP).condition(Condition::Tag),
    least(Administrator, "PATCH", "/api/v1/groups/{group}", &[NameInvalid, GroupNotFound, Invalid])
        .json()
        .condition(Condition::May),
    least(Administrator, "DELETE", "/api/v1/groups/{group}", &[NameInvalid, GroupNotFound, Conflict])
        .condition(Condition::May),
    least(ReadOnly, "GET", "/api/v1/selectors", PAGE),
    least(ReadOnly, "POST", "/api/v1/selectors/check", SELECTED).json(),
    least(ReadOnly, "GET", "/api/v1/selectors/{selector}", &[NameInvalid, NotFound])
        .condition(Condition::Read),
    least(Operator, "PUT", "/api/v1/selectors/{selector}", &[NameInvalid, SelectorInvalid, Invalid])
        .json()
        .condition(Condition::Must),
    least(Operator, "DELETE", "/api/v1/selectors/{selector}", &[NameInvalid, NotFound])
        .condition(Condition::May),
    least(
        Operator,
        "POST",
        "/api/v1/estate/bulk",
        &[SelectorInvalid, SelectorUnknown, GroupNotFound, Invalid],
    )
    .json()
    .repeatable(),
    least(
        Administrator,
        "POST",
        "/api/v1/estate/import",
        &[BodyIncomplete, BodyTooLarge, MediaType, QueryInvalid, Conflict, Invalid],
    )
    .streams(),
    least(
        ReadOnly,
        "GET",
        "/api/v1/estate/export",
        &[QueryInvalid, SelectorInvalid, SelectorUnknown, Invalid],
    )
    .streams(),
    least(ReadOnly, "GET", "/api/v1/alarms", &[NameInvalid, QueryInvalid, TerminalNotFound]),
    least(ReadOnly, "GET", "/api/v1/events", &[NameInvalid, QueryInvalid, TerminalNotFound]),
    least(ReadOnly, "GET", "/api/v1/logs/{operation}", &[NameInvalid, NotFound, ObjectsUnavailable]),
    least(ReadOnly, "GET", "/api/v1/sets", PAGE),
    least(ReadOnly, "GET", "/api/v1/sets/{set}", &[NameInvalid, NotFound]).condition(Condition::Read),
    least(Administrator, "PUT", "/api/v1/sets/{set}", &[NameInvalid, Conflict, Invalid])
        .json()
        .condition(Condition::Must),
    least(ReadOnly, "GET", "/api/v1/firmware", PAGE),
    least(
        Administrator,
        "POST",
        "/api/v1/firmware",
        &[
            BodyIncomplete,
            BodyTooLarge,
            FirmwareImageChanged,
            FirmwarePackageInvalid,
            FirmwareSignatureInvalid,
            FirmwareTrustRootMissing,
            ObjectsUnavailable,
        ],
    )
    .streams(),
];

/// The endpoint of a request that the router has matched.
pub(super) fn of(method: &str, path: &str) -> Option<&'static Endpoint> {
    ENDPOINTS.get(place(method, path)?)
}

/// Its place in the table.
pub(super) fn place(method: &str, path: &str) -> Option<usize> {
    ENDPOINTS.iter().position(|endpoint| endpoint.method == method && endpoint.path == path)
}

impl Endpoint {
    /// Everything that a call can fail with.
    pub(super) fn problems(&self) -> impl Iterator<Item = Code> {
        let token = match self.who {
            Who::Anybody => &[],
            Who::Least(_) => WITH_TOKEN,
        };
        let json = if self.json { WITH_JSON } else { &[] };
        let guarded = if self.path.starts_with("/api/") { GUARDED } else { &[] };
        let repeatable = if self.repeatable { REPEATABLE } else { &[] };
        let condition = match self.condition {
            Condition::None | Condition::Tag | Condition::Read => &[],
            Condition::May => &[PreconditionFailed][..],
            Condition::Must => &[PreconditionFailed, PreconditionRequired],
        };
        [ALWAYS, guarded, token, json, repeatable, condition, self.problems].into_iter().flatten().copied()
    }

    const fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    const fn condition(mut self, condition: Condition) -> Self {
        self.condition = condition;
        self
    }

    const fn streams(mut self) -> Self {
        self.streams = true;
        self
    }

    const fn json(mut self) -> Self {
        self.json = true;
        self
    }
}

/// A word to a rollout; each can be said again.
const fn rollout(path: &'static str) -> Endpoint {
    least(Operator, "POST", path, &[NameInvalid, NotFound, Conflict, Invalid]).condition(Condition::May)
}

const fn open(method: &'static str, path: &'static str, problems: &'static [Code]) -> Endpoint {
    Endpoint {
        method,
        path,
        who: Who::Anybody,
        json: false,
        streams: false,
        repeatable: false,
        condition: Condition::None,
        problems,
    }
}

const fn least(
    role: UserRole,
    method: &'static str,
    path: &'static str,
    problems: &'static [Code],
) -> Endpoint {
    Endpoint {
        method,
        path,
        who: Who::Least(role),
        json: false,
        streams: false,
        repeatable: false,
        condition: Condition::None,
        problems,
    }
}
