//! Routes: a path, its methods, and what answers all the others.

use std::future::Future;

use actix_web::http::Method;
use actix_web::http::StatusCode;
use actix_web::http::header::ALLOW;
use actix_web::{HttpRequest, Resource, guard, web};

use super::auth::Operation;
use super::call::{Call, Endpoint, serve};
use super::problem::Problem;
use super::reply::Reply;

/// A path and its methods. `GET` answers `HEAD` as well, `OPTIONS` tells the methods.
pub struct At {
    resource: Resource,
    allow: Vec<&'static str>,
    outside: Operation,
}

/// A path of the API, within its scope.
pub fn at(path: &str) -> At {
    At { resource: web::resource(path), allow: Vec::new(), outside: Operation::Nothing }
}

/// A path at the root, where not all need a key.
pub fn at_root(path: &str) -> At {
    At { outside: Operation::NothingPublic, ..at(path) }
}

impl At {
    /// Adds a method: what it does, the query parameters it knows, who answers.
    pub fn on<F, Fut>(
        mut self,
        method: Method,
        operation: Operation,
        query: &'static [&'static str],
        handler: F,
    ) -> Self
    where
        F: Fn(Call) -> Fut + Clone + 'static,
        Fut: Future<Output = Result<Reply, Problem>> + 'static,
    {
        let endpoint = Endpoint { operation, query: Some(query) };
        let (route, names): (_, &[&'static str]) = match method {
            Method::GET => (web::route().guard(guard::Any(guard::Get()).or(guard::Head())), &["GET", "HEAD"]),
            Method::POST => (web::post(), &["POST"]),
            Method::PUT => (web::put(), &["PUT"]),
            Method::PATCH => (web::patch(), &["PATCH"]),
            _ => (web::delete(), &["DELETE"]),
        };
        self.allow.extend(names);
        self.resource =
            self.resource.route(route.to(move |request: HttpRequest, payload: web::Payload| {
                serve(endpoint, handler.clone(), request, payload)
            }));
        self
    }

    /// `GET` of something that any key may read.
    pub fn get<F, Fut>(self, query: &'static [&'static str], handler: F) -> Self
    where
        F: Fn(Call) -> Fut + Clone + 'static,
        Fut: Future<Output = Result<Reply, Problem>> + 'static,
    {
        self.on(Method::GET, Operation::Read, query, handler)
    }

    /// The resource for actix-web, which answers all other methods with 405 and those that are there.
    pub fn end(self) -> Resource {
        let endpoint = Endpoint { operation: self.outside, query: None };
        let allow = self.allow.join(", ");
        self.resource.default_service(web::to(move |request: HttpRequest, payload: web::Payload| {
            let allow = allow.clone();
            serve(endpoint, move |call| other_method(call, allow), request, payload)
        }))
    }
}

async fn other_method(call: Call, allow: String) -> Result<Reply, Problem> {
    if *call.method() == Method::OPTIONS {
        return Ok(Reply::empty(StatusCode::NO_CONTENT).with(ALLOW, format!("{allow}, OPTIONS")));
    }
    Err(Problem::method_not_allowed(&format!("{allow}, OPTIONS")))
}

/// What answers where there is nothing; `outside`: no key is needed to be told so.
pub fn nothing(outside: Operation) -> actix_web::Route {
    let endpoint = Endpoint { operation: outside, query: None };
    web::to(move |request: HttpRequest, payload: web::Payload| serve(endpoint, not_there, request, payload))
}

async fn not_there(_: Call) -> Result<Reply, Problem> {
    Err(Problem::not_found("there is nothing at this URL; GET /api/v1 tells what there is"))
}
