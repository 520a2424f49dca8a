//! What is said of a call beside what its route says: what it is for, what goes in, what comes out.

use actix_web::http::Method;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use super::super::problem::Kind;
use super::super::route::API;

/// Schemas by the name of their type.
pub type Shapes = Vec<(String, RefOr<Schema>)>;

/// A type of documents.
#[derive(Clone)]
pub struct Shape {
    /// The name of its type.
    pub name: String,
    /// Adds its schema and those of all it is made of.
    pub gather: fn(&mut Shapes),
}

/// The type as one of documents.
pub fn shape<T: ToSchema>() -> Shape {
    fn gather<T: ToSchema>(shapes: &mut Shapes) {
        shapes.push((T::name().into_owned(), T::schema()));
        T::schemas(shapes);
    }
    Shape { name: T::name().into_owned(), gather: gather::<T> }
}

/// The body of a request.
pub enum Body {
    /// A document; its element in XML; whether it may be left out.
    Document(Shape, &'static str, bool),
    /// No body, or a document without a field.
    Nothing(&'static str),
    /// A JSON merge patch of such a document.
    Patch(Shape),
    /// The bytes of a file.
    File,
}

/// The body of an answer.
pub enum Shows {
    /// A document, and its element in XML.
    Document(Shape, &'static str),
    /// One page of a list; its element in XML, and that of each item.
    List(Shape, &'static str, &'static str),
    /// Something that is no document: its type, an example.
    Other(&'static str, &'static str),
    /// None.
    Nothing,
}

/// One of the good answers.
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// When it comes, in words.
    pub tells: &'static str,
    /// Its body.
    pub shows: Shows,
    /// Its own headers.
    pub headers: &'static [&'static str],
}

/// What is said of a call.
pub struct About {
    /// Its method.
    pub method: Method,
    /// Its whole path.
    pub path: String,
    /// What it is for, in a few words.
    pub summary: String,
    /// More of it.
    pub detail: &'static str,
    /// What goes in.
    pub body: Option<Body>,
    /// What comes out.
    pub answers: Vec<Answer>,
    /// Problems of its own, beside those that follow from its route.
    pub problems: &'static [Kind],
    /// The headers by which it may be made to depend on something.
    pub headers: &'static [&'static str],
}

fn about(method: Method, path: &str, summary: impl Into<String>) -> About {
    let (path, summary) = (format!("{API}{path}"), summary.into());
    About { method, path, summary, detail: "", body: None, answers: Vec::new(), problems: &[], headers: &[] }
}

/// `GET` of a path below `/api/v1`.
pub fn get(path: &str, summary: impl Into<String>) -> About {
    about(Method::GET, path, summary)
}

/// `GET` of a path at the root.
pub fn get_at_root(path: &str, summary: impl Into<String>) -> About {
    About { path: path.to_owned(), ..get(path, summary) }
}

/// `POST` to a path below `/api/v1`.
pub fn post(path: &str, summary: impl Into<String>) -> About {
    about(Method::POST, path, summary)
}

/// `PUT` to a path below `/api/v1`.
pub fn put(path: &str, summary: impl Into<String>) -> About {
    about(Method::PUT, path, summary)
}

/// `PATCH` of a path below `/api/v1`.
pub fn patch(path: &str, summary: impl Into<String>) -> About {
    about(Method::PATCH, path, summary)
}

/// `DELETE` of a path below `/api/v1`.
pub fn delete(path: &str, summary: impl Into<String>) -> About {
    about(Method::DELETE, path, summary)
}

impl About {
    /// More of what it is for.
    pub fn more(self, detail: &'static str) -> Self {
        Self { detail, ..self }
    }

    /// It wants a document.
    pub fn takes<T: ToSchema>(self, root: &'static str) -> Self {
        Self { body: Some(Body::Document(shape::<T>(), root, false)), ..self }
    }

    /// It takes a document, or no body.
    pub fn may_take<T: ToSchema>(self, root: &'static str) -> Self {
        Self { body: Some(Body::Document(shape::<T>(), root, true)), ..self }
    }

    /// It takes no body, or a document without a field.
    pub fn takes_nothing(self, root: &'static str) -> Self {
        Self { body: Some(Body::Nothing(root)), ..self }
    }

    /// It takes a merge patch of such a document.
    pub fn takes_patch<T: ToSchema>(self) -> Self {
        Self { body: Some(Body::Patch(shape::<T>())), ..self }
    }

    /// It takes the bytes of a file.
    pub fn takes_file(self) -> Self {
        Self { body: Some(Body::File), ..self }
    }

    /// It answers a document.
    pub fn shows<T: ToSchema>(self, root: &'static str) -> Self {
        self.answers::<T>(200, "It is so.", root, &[])
    }

    /// It answers a document, with a status of its own.
    pub fn answers<T: ToSchema>(
        self,
        status: u16,
        tells: &'static str,
        root: &'static str,
        headers: &'static [&'static str],
    ) -> Self {
        self.answer(Answer { status, tells, shows: Shows::Document(shape::<T>(), root), headers })
    }

    /// It answers one page of a list.
    pub fn lists<T: ToSchema>(self, plural: &'static str, singular: &'static str) -> Self {
        let shows = Shows::List(shape::<T>(), plural, singular);
        self.answer(Answer { status: 200, tells: "One page.", shows, headers: &["Link"] })
    }

    /// It answers something that is no document.
    pub fn sends(self, kind: &'static str, example: &'static str) -> Self {
        self.answer(Answer { status: 200, tells: "It is so.", shows: Shows::Other(kind, example), headers: &[] })
    }

    /// It answers nothing, with this status.
    pub fn ends(self, status: u16, tells: &'static str) -> Self {
        self.answer(Answer { status, tells, shows: Shows::Nothing, headers: &[] })
    }

    fn answer(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    /// It has problems of its own.
    pub fn may_fail(self, problems: &'static [Kind]) -> Self {
        Self { problems, ..self }
    }

    /// It reads these headers.
    pub fn reads(self, headers: &'static [&'static str]) -> Self {
        Self { headers, ..self }
    }
}
