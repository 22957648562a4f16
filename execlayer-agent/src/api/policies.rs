//! The policies in force, as the daemon says, ready to judge by. Owns how old they may be; must not judge.
//!
//! They are asked for all the time, because nothing tells when one is replaced. A daemon that has not answered for a
//! while is one that could record nothing and ask nobody: then nothing is judged.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use base64ct::{Base64, Encoding as _};
use execlayer_api::{
    Failure,
    link::{Ask, Head, Told, Whole},
};
use execlayer_engine::PolicyBundle;

use super::link::Link;

/// Between two looks at what is in force.
const LOOK: Duration = Duration::from_millis(200);
/// Without an answer of the daemon for so long, nothing is judged.
const OLD: Duration = Duration::from_secs(2);

/// A policy in force.
#[derive(Debug)]
pub struct InForce {
    /// What it is.
    pub head: Head,
    /// What judges.
    pub bundle: PolicyBundle,
}

/// All of them at one moment, by agent.
#[derive(Debug)]
struct Seen {
    policies: HashMap<String, Arc<InForce>>,
    at: Option<Instant>,
}

impl Seen {
    fn is_fresh(&self) -> bool {
        self.at.is_some_and(|at| at.elapsed() < OLD)
    }
}

/// The policies in force.
#[derive(Debug)]
pub struct Policies(ArcSwap<Seen>);

impl Default for Policies {
    fn default() -> Self {
        Self(ArcSwap::from_pointee(Seen { policies: HashMap::new(), at: None }))
    }
}

impl Policies {
    /// The policy of an agent; `None` if it has none.
    ///
    /// # Errors
    ///
    /// If the daemon has not said for too long what is in force.
    pub fn of(&self, agent: &str) -> Result<Option<Arc<InForce>>, Stale> {
        let seen = self.0.load();
        if seen.is_fresh() { Ok(seen.policies.get(agent).cloned()) } else { Err(Stale) }
    }

    /// Whether the daemon has said lately what is in force.
    #[must_use]
    pub fn are_fresh(&self) -> bool {
        self.0.load().is_fresh()
    }

    /// Looks again and again.
    pub async fn follow(&self, link: &Link) {
        let mut was_there = true;
        loop {
            let looked = self.look(link).await;
            match &looked {
                Ok(()) => was_there = true,
                Err(why) if was_there => {
                    tracing::warn!("nothing is judged: {}", why.message);
                    was_there = false;
                }
                Err(_again) => {}
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Looks once.
    ///
    /// # Errors
    ///
    /// What the daemon said, or that it cannot be reached.
    pub async fn look(&self, link: &Link) -> Result<(), Failure> {
        let asked = Instant::now();
        let Told::Policies(heads) = link.ask(&Ask::Policies {}).await? else { return Ok(()) };
        let before = self.0.load_full();
        let mut policies = HashMap::with_capacity(heads.len());
        for head in heads {
            let known = before.policies.get(&head.agent).filter(|known| known.head == head);
            let policy = match known {
                Some(known) => Some(Arc::clone(known)),
                None => fetch(link, &head.agent).await?,
            };
            policies.extend(policy.map(|policy| (policy.head.agent.clone(), policy)));
        }
        self.0.store(Arc::new(Seen { policies, at: Some(asked) }));
        Ok(())
    }
}

/// What is in force is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale;

/// `None` if it cannot be judged by: then nothing of that agent is.
async fn fetch(link: &Link, agent: &str) -> Result<Option<Arc<InForce>>, Failure> {
    let asked = Ask::Policy { agent: agent.to_owned() };
    let Told::Policy(whole) = link.ask(&asked).await? else { return Ok(None) };
    let Whole { head, image, provenance } = *whole;
    match bundle(&image, &provenance) {
        Ok(bundle) => {
            tracing::info!(
                "agent `{agent}` is judged by `{}` version {}",
                head.policy,
                head.version
            );
            Ok(Some(Arc::new(InForce { head, bundle })))
        }
        Err(error) => {
            tracing::error!("the policy of agent `{agent}` cannot be judged by: {error}");
            Ok(None)
        }
    }
}

fn bundle(image: &str, provenance: &str) -> Result<PolicyBundle, String> {
    let bytes = Base64::decode_vec(image).map_err(|error| error.to_string())?;
    let (words, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err("the image is no whole words".to_owned());
    }
    let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
    let provenance = serde_json::from_str(provenance).map_err(|error| error.to_string())?;
    PolicyBundle::new(words, provenance).map_err(|error| error.to_string())
}
