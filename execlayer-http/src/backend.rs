//! What the API needs of whoever judges, records and asks. Nothing here is HTTP.

use std::{future::Future, time::Duration};

use tokio::{net::UnixStream, sync::mpsc};

use crate::{
    caller::Caller,
    problem::Problem,
    types::{AgentPolicy, Answer, Answered, Decision, Evaluation, Question, Records},
};

/// One record of the audit trail, for whoever follows it: its number, and itself on one line.
pub type Event = (u64, String);

/// See the module. Whatever fails is a [`Problem`]; only what was judged is a [`Decision`].
pub trait Backend: Send + Sync + 'static {
    /// Who has connected.
    fn identify(&self, peer: &UnixStream) -> impl Future<Output = Result<Caller, Problem>> + Send;

    /// Judges calls, in their order: one result for each.
    fn evaluate(
        &self,
        caller: &Caller,
        calls: Vec<Evaluation>,
    ) -> impl Future<Output = Vec<Result<Decision, Problem>>> + Send;

    /// Open questions that the caller may see.
    fn questions(
        &self,
        caller: &Caller,
    ) -> impl Future<Output = Result<Vec<Question>, Problem>> + Send;

    /// A question, as soon as it has ended, or after that time.
    fn question(
        &self,
        caller: &Caller,
        id: u64,
        wait: Duration,
    ) -> impl Future<Output = Result<Question, Problem>> + Send;

    /// Answers a question.
    fn answer(
        &self,
        caller: &Caller,
        id: u64,
        answer: Answer,
    ) -> impl Future<Output = Result<Answered, Problem>> + Send;

    /// What is in force.
    fn policies(&self) -> impl Future<Output = Result<Vec<AgentPolicy>, Problem>> + Send;

    /// Puts a signed bundle in force.
    fn install(
        &self,
        caller: &Caller,
        bundle: Vec<u8>,
    ) -> impl Future<Output = Result<AgentPolicy, Problem>> + Send;

    /// The daemon's state, as JSON.
    fn status(&self) -> impl Future<Output = Result<serde_json::Value, Problem>> + Send;

    /// Records that the caller may see, from a number on, of so many that are looked at.
    fn records(
        &self,
        caller: &Caller,
        from: u64,
        limit: usize,
    ) -> impl Future<Output = Result<Records, Problem>> + Send;

    /// Records that the caller may see, from a number on (without one: from now on), for as long as it listens.
    fn follow(
        &self,
        caller: &Caller,
        from: Option<u64>,
    ) -> impl Future<Output = Result<mpsc::Receiver<Event>, Problem>> + Send;

    /// In the OpenMetrics format.
    fn metrics(&self) -> String;

    /// Whether it can judge now.
    fn is_ready(&self) -> bool;
}
