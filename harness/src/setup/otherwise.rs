//! In which way a set-up is otherwise than the one that it is made from: values, changes of our manifests, documents for
//! istioctl, and objects of its own. Ours have values only; a user's file may have all of it. The texts are here, not the
//! names of files: they were read once, before anything was made.

use std::path::Path;

use proof::topology::ClusterName;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::patch::Patch;
use crate::Result;
use crate::render::{self, Values};

/// What is otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Otherwise {
    /// In the place of those of the lane.
    pub values: Values,
    /// Documents for istioctl, after ours.
    pub overlays: Vec<Document>,
    /// Changes of our manifests, in this order.
    pub patches: Vec<Patch>,
    /// What is brought beside our manifests.
    pub objects: Vec<Objects>,
}

/// A file of the set-up's own, with the names of values in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its name, as messages have it.
    pub file: String,
    /// What is in it.
    pub text: String,
}

/// Objects, and the moment at which they come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objects {
    /// Where they are asked for: `setup.yaml:7:5`.
    pub at: String,
    /// What they are called in the plan.
    pub name: String,
    /// The objects.
    pub document: Document,
    /// When they come.
    pub moment: Moment,
    /// Whether their step ends only when what they make is there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ready: bool,
}

/// A moment of the plan. The step is one of each cluster (`istiod`), or of one alone (`cluster1/istiod`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// That step waits for them.
    Before(String),
    /// They wait for that step.
    After(String),
}

impl Otherwise {
    /// One of our manifests as this set-up has it in that cluster.
    ///
    /// # Errors
    /// As [`render::manifest`]; [`crate::Code::Usage`] for a patch that cannot be applied.
    pub fn manifest(
        &self,
        manifests: &Path,
        name: &str,
        cluster: &ClusterName,
        values: &Values,
    ) -> Result<Vec<Value>> {
        let mut objects = render::manifest(&manifests.join(name), values)?;
        self.patch(name, cluster, values, &mut objects)?;
        Ok(objects)
    }

    /// Changes the objects of that manifest; whether any change is meant for them.
    ///
    /// # Errors
    /// [`crate::Code::Usage`] for a patch that cannot be applied.
    pub fn patch(
        &self,
        name: &str,
        cluster: &ClusterName,
        values: &Values,
        objects: &mut [Value],
    ) -> Result<bool> {
        let mut any = false;
        for patch in self.patches.iter().filter(|patch| patch.is_for(name, cluster)) {
            patch.apply(values, objects)?;
            any = true;
        }
        Ok(any)
    }

    /// All that decides what a world is made from, as text: where in its file a thing stands does not.
    pub fn made_from(&self) -> String {
        let mut same = self.clone();
        same.patches.iter_mut().for_each(|patch| patch.at.clear());
        same.objects.iter_mut().for_each(|objects| objects.at.clear());
        format!("{same:?}")
    }

    /// A line for each difference, for a person.
    pub fn lines(&self) -> Vec<String> {
        let values = self.values.iter().map(|(name, value)| format!("with {name} = {value}"));
        let overlays = self.overlays.iter().map(|overlay| format!("with {} for istioctl", overlay.file));
        let patches =
            self.patches.iter().map(|patch| format!("with {} patched ({})", patch.about(), patch.at));
        let objects =
            self.objects.iter().map(|objects| format!("with {} {}", objects.document.file, objects.moment));
        values.chain(overlays).chain(patches).chain(objects).collect()
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Before(step) => write!(f, "before {step}"),
            Self::After(step) => write!(f, "after {step}"),
        }
    }
}
