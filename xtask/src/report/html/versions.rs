//! What a world was made of: images by reference and digest, and the inputs by their hashes.

use std::collections::BTreeMap;

use harness::world::World;
use maud::{Markup, html};

use super::run::Shown;
use super::{Page, heading};

/// The versions of a world.
pub fn of(page: &Page<'_>, shown: &Shown) -> Markup {
    html! {
        section {
            (heading(page.level, "Versions"))
            @match &shown.world {
                None => p { "What this world would have been made of was not written down in this folder." },
                Some(world) => (told(world)),
            }
        }
    }
}

fn told(world: &World) -> Markup {
    let images = images(world);
    let inputs = serde_json::to_value(&world.inputs).unwrap_or_default();
    html! {
        p {
            "World " code { (world.id.as_str()) } ", made at " (world.made.strftime("%F %T UTC")) " from the source " (world.source)
            @if world.defaults { ", with upstream's own probe and sync intervals" } "."
        }
        div.wide tabindex="0" role="group" aria-label={ "Images of the world " (world.name) } {
            table {
                thead { tr { th scope="col" { "image" } th scope="col" { "reference" } th scope="col" { "digest" } } }
                tbody {
                    @for (role, (reference, digest)) in &images {
                        tr { th scope="row" { (role) } td { code { (reference) } } td { code { (digest) } } }
                    }
                }
            }
        }
        @if let Some(inputs) = inputs.as_object().filter(|inputs| !inputs.is_empty()) {
            details {
                summary { "What it was made from, by hash " span.count { "(" (inputs.len()) ")" } }
                div.wide tabindex="0" role="group" aria-label={ "Inputs of the world " (world.name) } {
                    table {
                        thead { tr { th scope="col" { "input" } th scope="col" { "SHA-256" } } }
                        tbody {
                            @for (input, hash) in inputs {
                                tr { th scope="row" { (input) } td { code { (hash.as_str().unwrap_or_default()) } } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Reference and digest by role: manifests name an image by its role, in capitals.
fn images(world: &World) -> BTreeMap<String, (String, String)> {
    let mut all: BTreeMap<String, (String, String)> = BTreeMap::new();
    for (role, digest) in &world.digests {
        all.entry(role.clone()).or_default().1.clone_from(digest);
    }
    for (name, reference) in world.sites.values().flat_map(|site| &site.values) {
        if let Some(role) = name.strip_prefix("IMAGE_") {
            all.entry(role.to_lowercase().replace('_', "-")).or_default().0.clone_from(reference);
        }
    }
    all
}
