//! Routes: a path, its methods, what each does and which hosts it reaches, and what answers all other methods.
//!
//! Nothing can be routed without both: [`At::on`] asks for the operation, which has its role, and for a [`Reach`], which
//! holds the handler.

use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;

use actix_web::http::Method;
use actix_web::http::StatusCode;
use actix_web::http::header::ALLOW;
use actix_web::{HttpRequest, Resource, Scope, guard, web};
use futures_util::future::{FutureExt as _, LocalBoxFuture};

use super::auth::Operation;
use super::call::{Call, Endpoint, serve};
use super::problem::Problem;
use super::reply::Reply;
use crate::model::Rights;

/// What answers a call.
pub type Handler = Rc<dyn Fn(Call) -> LocalBoxFuture<'static, Result<Reply, Problem>>>;

/// Which hosts a route reaches: by it a key that is for some hosts only is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosts {
    /// None.
    None,
    /// The one that its path names as `{host}`.
    Named,
    /// Those for which the key is: its handler is given the rights, and goes by them.
    Covered,
    /// All: the key must be for all.
    All,
}

/// A handler, and which hosts it reaches.
pub struct Reach {
    hosts: Hosts,
    handler: Handler,
}

impl Reach {
    fn new<F, Fut>(hosts: Hosts, handler: F) -> Self
    where
        F: Fn(Call) -> Fut + 'static,
        Fut: Future<Output = Result<Reply, Problem>> + 'static,
    {
        Self { hosts, handler: Rc::new(move |call| handler(call).boxed_local()) }
    }

    /// The same for a key that is for all hosts.
    pub fn of_all(self) -> Self {
        Self { hosts: Hosts::All, ..self }
    }
}

/// For what reaches no host.
pub fn no_host<F, Fut>(handler: F) -> Reach
where
    F: Fn(Call) -> Fut + 'static,
    Fut: Future<Output = Result<Reply, Problem>> + 'static,
{
    Reach::new(Hosts::None, handler)
}

/// For what reaches the host that the path names as `{host}`.
pub fn the_host<F, Fut>(handler: F) -> Reach
where
    F: Fn(Call) -> Fut + 'static,
    Fut: Future<Output = Result<Reply, Problem>> + 'static,
{
    Reach::new(Hosts::Named, handler)
}

/// For what reaches many hosts, or one that only the handler can tell: it is given the key's rights.
pub fn within<F, Fut>(handler: F) -> Reach
where
    F: Fn(Call, Rights) -> Fut + 'static,
    Fut: Future<Output = Result<Reply, Problem>> + 'static,
{
    let handler = Rc::new(handler);
    Reach::new(Hosts::Covered, move |call: Call| {
        let handler = Rc::clone(&handler);
        async move {
            let key = call.key.clone().ok_or_else(|| Problem::internal("nobody's rights were asked for"))?;
            handler(call, Rights::of(key)).await
        }
    })
}

/// For what reaches all hosts, or what all of them share.
pub fn all_hosts<F, Fut>(handler: F) -> Reach
where
    F: Fn(Call) -> Fut + 'static,
    Fut: Future<Output = Result<Reply, Problem>> + 'static,
{
    Reach::new(Hosts::All, handler)
}

/// A method of a path.
pub struct Served {
    /// The method; `GET` answers `HEAD` as well.
    pub method: Method,
    /// Who may call it, and what it knows.
    pub endpoint: Endpoint,
    handler: Handler,
}

/// A path and its methods. `OPTIONS` tells the methods.
pub struct At {
    path: String,
    outside: Operation,
    /// In the order in which they were added.
    pub methods: Vec<Served>,
}

/// Where the API is.
pub const API: &str = "/api/v1";

/// A path of the API, within its scope.
pub fn at(path: &str) -> At {
    At { path: path.to_owned(), outside: Operation::Nothing, methods: Vec::new() }
}

/// A path at the root, where not all need a key.
pub fn at_root(path: &str) -> At {
    At { outside: Operation::NothingPublic, ..at(path) }
}

impl At {
    /// Adds a method: what it does, the query parameters it knows, which hosts it reaches and who answers.
    pub fn on(mut self, method: Method, operation: Operation, query: &'static [&'static str], reach: Reach) -> Self {
        let endpoint = Endpoint { operation, query: Some(query), hosts: reach.hosts };
        self.methods.push(Served { method, endpoint, handler: reach.handler });
        self
    }

    /// `GET` of something that any key may read.
    pub fn get(self, query: &'static [&'static str], reach: Reach) -> Self {
        self.on(Method::GET, Operation::Read, query, reach)
    }

    /// The whole path, its variable parts in braces.
    pub fn path(&self) -> String {
        if self.is_at_root() { self.path.clone() } else { format!("{API}{}", self.path) }
    }

    /// Whether it is outside of the API.
    pub fn is_at_root(&self) -> bool {
        self.outside == Operation::NothingPublic
    }

    /// The resource for actix-web, which answers all other methods with 405 and those that are there.
    pub fn resource(self) -> Resource {
        let mut resource = web::resource(&*self.path);
        let mut allow: Vec<String> = Vec::new();
        for Served { method, endpoint, handler } in self.methods {
            let route = if method == Method::GET {
                allow.extend(["GET", "HEAD"].map(str::to_owned));
                web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
            } else {
                allow.push(method.to_string());
                web::method(method)
            };
            resource = resource.route(route.to(move |request: HttpRequest, payload: web::Payload| {
                serve(endpoint, Rc::clone(&handler), request, payload)
            }));
        }
        let allow: Rc<str> = format!("{}, OPTIONS", allow.join(", ")).into();
        let handler: Handler = Rc::new(move |call| other_method(call, Rc::clone(&allow)).boxed_local());
        resource.default_service(nowhere(self.outside, handler))
    }
}

/// The scope of the API. A path is held against one pattern after the other, so each first part of them is a scope of its
/// own, found by comparing plain text.
pub fn of_api(all: Vec<At>) -> Scope {
    let mut scopes: BTreeMap<String, Scope> = BTreeMap::new();
    let mut api = web::scope(API);
    for at in all {
        let end = at.path.match_indices('/').nth(1).map_or(at.path.len(), |(end, _)| end);
        let (first, rest) = at.path.split_at(end);
        if first.len() < 2 {
            api = api.service(at.resource());
            continue;
        }
        let (first, path) = (first.to_owned(), rest.to_owned());
        let new = || web::scope(&first).default_service(nothing(Operation::Nothing));
        let scope = scopes.remove(&first).unwrap_or_else(new);
        scopes.insert(first, scope.service(At { path, ..at }.resource()));
    }
    let api = scopes.into_values().fold(api, Scope::service);
    api.default_service(nothing(Operation::Nothing))
}

async fn other_method(call: Call, allow: Rc<str>) -> Result<Reply, Problem> {
    if *call.method() == Method::OPTIONS {
        return Ok(Reply::empty(StatusCode::NO_CONTENT).with(ALLOW, &*allow));
    }
    Err(Problem::method_not_allowed(&allow))
}

/// What answers where there is nothing; `outside`: no key is needed to be told so.
pub fn nothing(outside: Operation) -> actix_web::Route {
    nowhere(outside, Rc::new(|call| not_there(call).boxed_local()))
}

fn nowhere(outside: Operation, handler: Handler) -> actix_web::Route {
    let endpoint = Endpoint { operation: outside, query: None, hosts: Hosts::None };
    web::to(move |request: HttpRequest, payload: web::Payload| serve(endpoint, Rc::clone(&handler), request, payload))
}

async fn not_there(_: Call) -> Result<Reply, Problem> {
    Err(Problem::not_found("there is nothing at this URL; GET /api/v1 tells what there is"))
}
