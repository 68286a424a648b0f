//! What a world was made of: images by reference and digest, and the inputs by their hashes.

use harness::setup::versions;
use harness::world::{ImageOf, World};
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
    let inputs = serde_json::to_value(&world.inputs).unwrap_or_default();
    html! {
        p {
            "World " code { (world.id.as_str()) } ", made at " (world.made.strftime("%F %T UTC")) " from the source " (world.source)
            @if world.defaults { ", with upstream's own probe and sync intervals" } "."
        }
        @for line in versions::lines(&world.versions) { p { (line) "." } }
        div.wide tabindex="0" role="group" aria-label={ "Images of the world " (world.name) } {
            table {
                thead { tr { th scope="col" { "image" } th scope="col" { "reference" } th scope="col" { "digest" } } }
                tbody {
                    @for image in world.images() {
                        tr {
                            th scope="row" { (name(&image)) }
                            td { code { (image.reference) } }
                            td { code { (image.digest) } }
                        }
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

/// The role, and the clusters where not all have it.
fn name(image: &ImageOf) -> String {
    let clusters: Vec<_> = image.clusters.iter().map(|cluster| cluster.0.as_str()).collect();
    if clusters.is_empty() {
        image.role.clone()
    } else {
        format!("{} in {}", image.role, clusters.join(", "))
    }
}
