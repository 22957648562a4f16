//! The API as an OpenAPI 3.1 document, made of the types that are really sent. Must not describe what is not there: a
//! test walks the table of routes.

use utoipa::OpenApi;

use crate::{authzen, problem::ProblemBody, types};

/// The document.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "ExecLayer evaluation API",
        description = "Judges calls of tools by the policy that the kernel enforces on the agent that makes them.",
        license(name = "Apache-2.0 OR MIT"),
    ),
    paths(
        healthz,
        readyz,
        openapi_json,
        evaluate,
        access_evaluation,
        access_evaluations,
        questions,
        question,
        answer,
        events,
        audit,
        policies,
        install,
        status,
        metrics
    ),
    components(schemas(
        types::Asked,
        types::Said,
        authzen::Entity,
        authzen::Action,
        authzen::OneOrAll,
        authzen::SaidOneOrAll,
        types::Evaluation,
        types::Evaluations,
        types::Decision,
        types::EvaluatedAll,
        types::Questions,
        types::Question,
        types::Answer,
        types::Answered,
        types::Policies,
        types::AgentPolicy,
        types::Records,
        ProblemBody
    ))
)]
struct Api;

/// Declares what a route takes and says. The functions are never called: they carry the documentation.
macro_rules! route {
    ($name:ident, $method:ident, $path:literal, $about:literal, ($($said:tt)*)) => {
        route!(@ $name, $method, $path, $about, ($($said)*), (), 400 401 403 503);
    };
    ($name:ident, $method:ident, $path:literal, $about:literal, ($($said:tt)*), $($taken:tt)*) => {
        route!(@ $name, $method, $path, $about, ($($said)*), ($($taken)*,),
            400 401 403 404 408 409 413 415 422 429 503);
    };
    (@ $name:ident, $method:ident, $path:literal, $about:literal, ($($said:tt)*), ($($taken:tt)*),
        $($problem:literal)*) => {
        #[doc = $about]
        #[utoipa::path(
            $method, path = $path, $($taken)*
            responses(
                $($said)*
                $((status = $problem, body = ProblemBody, content_type = "application/problem+json"),)*
            )
        )]
        #[expect(dead_code, reason = "it carries the documentation of a route")]
        fn $name() {}
    };
}

route!(
    healthz,
    get,
    "/healthz",
    "Whether the server is alive.",
    ((status = 200, body = str, content_type = "text/plain"),)
);
route!(
    readyz,
    get,
    "/readyz",
    "Whether it can judge now.",
    ((status = 200, body = str, content_type = "text/plain"),)
);
route!(openapi_json, get, "/v1/openapi.json", "This document.", ((status = 200, body = Object),));
route!(
    evaluate,
    post,
    "/v1/evaluate",
    "Judges a call of a tool, or with `evaluations` several.",
    ((status = 200, body = types::Said),),
    request_body = types::Asked
);
route!(
    access_evaluation,
    post,
    "/access/v1/evaluation",
    "Judges a call, as AuthZEN has it.",
    ((status = 200, body = authzen::Said),),
    request_body = authzen::One
);
route!(
    access_evaluations,
    post,
    "/access/v1/evaluations",
    "Judges several calls, as AuthZEN has it.",
    ((status = 200, body = authzen::SaidOneOrAll),),
    request_body = authzen::OneOrAll
);
route!(
    questions,
    get,
    "/v1/questions",
    "What is asked now.",
    ((status = 200, body = types::Questions),)
);
route!(question, get, "/v1/questions/{id}", "What became of a question.", ((status = 200, body = types::Question),),
    params(("id" = u64, Path), ("wait" = Option<String>, Query, pattern = "^([1-5]?[0-9]|60)s?$", description = "`0s` to `60s`: wait so long for its end")));
route!(
    answer,
    post,
    "/v1/questions/{id}/answer",
    "Answers a question.",
    ((status = 200, body = types::Answered),),
    request_body = types::Answer,
    params(("id" = u64, Path))
);
route!(events, get, "/v1/events", "Records as server-sent events.",
    ((status = 200, body = serde_json::Value, content_type = "text/event-stream"),),
    params(("from" = Option<u64>, Query, description = "number of the first record")));
route!(audit, get, "/v1/audit", "Records of the audit trail.", ((status = 200, body = types::Records),),
    params(("from" = Option<u64>, Query, description = "number of the first record"),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 1000, description = "records at most")));
route!(
    policies,
    get,
    "/v1/policies",
    "What is in force.",
    ((status = 200, body = types::Policies),)
);
route!(
    install,
    put,
    "/v1/policies",
    "Verifies a signed bundle and puts it in force.",
    ((status = 200, body = types::AgentPolicy),),
    request_body(content = [u8], content_type = "application/octet-stream")
);
route!(status, get, "/v1/status", "How the daemon is.", ((status = 200, body = Object),));
route!(
    metrics,
    get,
    "/metrics",
    "Metrics in the OpenMetrics format.",
    ((status = 200, body = str, content_type = "application/openmetrics-text"),)
);

#[cfg(test)]
mod tests {
    use crate::caller::ROUTES;

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document = serde_json::to_value(super::document()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        for (method, path, _need) in ROUTES {
            let route = &paths[path][method.to_lowercase().as_str()];
            assert!(route["responses"]["200"].is_object(), "{method} {path}");
        }
        let methods: usize = paths.values().map(|path| path.as_object().unwrap().len()).sum();
        assert_eq!(methods, ROUTES.len());
    }
}
