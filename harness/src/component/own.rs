//! Objects of the user's own set-up, each file at its moment of the plan.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Cx, Site, of, step};
use crate::kube;
use crate::kube::stands::stands;
use crate::plan::Plan;
use crate::progress::Note;
use crate::render;
use crate::setup::{Document, Moment, Objects, Setup};
use crate::{Code, Error, Result};
use proof::topology::Cluster;

/// Adds a step for each file and each cluster that it is meant for.
///
/// # Errors
/// [`Code::Usage`] for a moment that there is not, or at which a cluster takes no objects.
pub(super) fn steps(plan: &mut Plan<Cx>, setup: &Setup) -> Result<()> {
    for objects in &setup.otherwise.objects {
        let mut meant = 0;
        for cluster in &setup.topology.clusters {
            meant += usize::from(bring(plan, cluster, objects)?);
        }
        if meant == 0 {
            let known: BTreeSet<_> =
                plan.nodes().filter(|node| !node.lane.is_empty()).map(|n| n.id.as_str()).collect();
            let known: Vec<_> = known.into_iter().collect();
            let what =
                format!("{}: there is no step `{}` in any cluster", objects.at, step_of(&objects.moment));
            return Err(Error::new(Code::Usage, what)
                .seen(format!("steps: {}; or without the cluster, for each", known.join(", ")))
                .next("cargo xtask plan tells them; nothing was touched"));
        }
    }
    Ok(())
}

/// Whether the moment is one of that cluster.
fn bring(plan: &mut Plan<Cx>, cluster: &Cluster, objects: &Objects) -> Result<bool> {
    let moment = step_of(&objects.moment);
    let at = if moment.contains('/') { moment.clone() } else { of(cluster, &moment) };
    let Some(needs) =
        plan.nodes().find(|node| node.id == at && node.lane == cluster.name.0).map(|node| node.needs.clone())
    else {
        return Ok(false);
    };
    // Nobody can be asked for an object before.
    let served = of(cluster, "crds");
    let id = of(cluster, &objects.name);
    let (document, ready) = (objects.document.clone(), objects.ready);
    let what = format!("{} {}", document.file, if ready { "applied and ready" } else { "applied" });
    let brought =
        step(cluster, &objects.name, &what, move |cx, site, note| apply(document, ready, cx, site, note));
    match objects.moment {
        Moment::After(_) => plan.add(brought.needs([served, at])),
        Moment::Before(_) if plan.comes_after(&at, &served) => {
            plan.add(brought.needs([served]).needs(needs));
            plan.wait(&at, id);
        }
        Moment::Before(_) => {
            let what = format!("{}: before `{moment}` the cluster takes no objects", objects.at);
            return Err(Error::new(Code::Usage, what)
                .next(format!("name a step that comes after {served}; nothing was touched")));
        }
    }
    Ok(true)
}

fn step_of(moment: &Moment) -> String {
    let (Moment::Before(step) | Moment::After(step)) = moment;
    step.clone()
}

async fn apply(document: Document, ready: bool, cx: Cx, site: Arc<Site>, note: Note) -> Result<()> {
    let text = render::fill(&document.text, &cx.values(&site)?, &document.file)?;
    let objects = render::documents(&text, &document.file)?;
    kube::apply::apply(site.client()?, &objects, &note).await?;
    for object in objects.iter().filter(|_| ready) {
        stands(site.client()?, object, &note).await?;
    }
    Ok(())
}
