//! The card of what is open. One line for each kind, with the oldest; below it, on a click, the ten oldest and
//! whose they are.

use maud::{Markup, html};

use super::words::{count, duration};
use crate::feed::status::{EntityStatus, OpenStatus, Status, SystemStatus};

pub(super) fn card(status: &Status) -> Markup {
    html! {
        section.wide {
            h2 { "Open now" }
            @if status.systems.is_empty() {
                p.soft { "No system has sent an event yet. A system appears here with its first event." }
            }
            @for system in &status.systems { (of_system(system)) }
        }
    }
}

fn of_system(system: &SystemStatus) -> Markup {
    let (busy, idle): (Vec<&EntityStatus>, Vec<&EntityStatus>) =
        system.entities.iter().partition(|entity| entity.open > 0 || entity.abandoned > 0);
    let idle = idle.iter().map(|entity| entity.name.as_str()).collect::<Vec<&str>>().join(", ");
    html! {
        h3 { a href={ "./metrics?system=" (system.name) } { (system.name) } " " span.soft { (system.title) } }
        @for entity in busy { (of_kind(&system.name, entity)) }
        @if !idle.is_empty() { p.soft { "None open: " (idle) } }
    }
}

fn of_kind(system: &str, entity: &EntityStatus) -> Markup {
    let oldest = entity.oldest.first();
    html! {
        details.kind id={ "open-" (system) "-" (entity.name) } {
            summary {
                span.name { (entity.name) } " "
                span.number { (count(entity.open as u64)) " open" } " "
                span.number {
                    @if let Some(oldest) = oldest { "oldest " (duration(oldest.age_seconds)) }
                } " "
                span.number {
                    @if entity.abandoned > 0 { (count(entity.abandoned)) " abandoned" }
                } " "
                span.which { @if let Some(oldest) = oldest { (which(oldest)) } }
            }
            @if !entity.oldest.is_empty() { (table(system, entity)) }
        }
    }
}

fn table(system: &str, entity: &EntityStatus) -> Markup {
    let label = format!("The oldest open in {system}: {}", entity.name);
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            table.open {
                thead {
                    tr {
                        th.number scope="col" { "open for" }
                        th scope="col" { "producer" }
                        th scope="col" { "which" }
                    }
                }
                tbody {
                    @for open in &entity.oldest {
                        tr {
                            td.number { (duration(open.age_seconds)) }
                            td { @if let Some(producer) = &open.producer { (producer) } @else { span.soft { "none" } } }
                            td { (which(open)) }
                        }
                    }
                }
            }
        }
        @if entity.open > entity.oldest.len() {
            p { a href={ "./api/v1/open?system=" (system) "&entity=" (entity.name) } { "More of them, as JSON" } }
        }
    }
}

fn which(open: &OpenStatus) -> Markup {
    html! {
        @if let Some(key) = &open.key { code { (key) } } @else { span.soft { "hidden" } }
    }
}
