//! Groups: listed and looked for, and one with who is in it, the roles that it gives and how it stands in each sink.

use minijinja::context;
use rolecall_sink_api::GroupId;

use super::users::{Standing, members, standing};
use super::{Answer, PAGE, status, value};
use crate::admin::api::{GroupsQuery, MembersQuery, PageToken};
use crate::console::api::{Api, Refused};
use crate::console::reply::Shown;
use crate::console::visit::{Visit, link};

pub(super) async fn list(api: &Api<'_>, visit: &Visit) -> Result<Answer, Refused> {
    let search = visit.query.get("name").map(str::trim).filter(|name| !name.is_empty());
    let status = status(&visit.query)?;
    let after = visit.query.get("after").map(PageToken::received);
    let is_first = after.is_none();
    let query = GroupsQuery { search: search.map(str::to_owned), status, limit: Some(PAGE), after };
    let page = api.groups(&query).await?;
    let of_status = visit.query.get("status");
    let to = |after| link("/console/groups", &[("name", search), ("status", of_status), ("after", after)]);
    let context = context! {
        now => value(page.now),
        name => search.unwrap_or_default(),
        status => of_status.unwrap_or_default(),
        groups => value(&page.items),
        next => page.next.as_ref().map(|next| to(Some(next.as_str()))),
        first => (!is_first).then(|| to(None)),
    };
    Ok(Shown::new("groups.html", "groups", "Groups", context).into())
}

pub(super) async fn group(api: &Api<'_>, visit: &Visit) -> Result<Answer, Refused> {
    let id = GroupId::new(visit.query.need("id")?);
    let group = api.group(&id).await?;
    let after = visit.query.get("after").map(PageToken::received);
    let is_first = after.is_none();
    let page = api.members(&MembersQuery { id: id.clone(), limit: Some(PAGE), after }).await?;
    let to = |after| link("/console/group", &[("id", Some(id.as_str())), ("after", after)]);
    let sinks: Vec<Standing<'_>> =
        group.sinks.iter().map(|(name, sink)| standing(group.generation, name.as_str(), sink)).collect();
    let context = context! {
        now => value(group.now),
        sinks => value(sinks),
        members => members(&page.items),
        next => page.next.as_ref().map(|next| to(Some(next.as_str()))),
        first => (!is_first).then(|| to(None)),
        group => value(&group),
    };
    Ok(Shown::new("group.html", "groups", format!("Group {}", group.name), context).into())
}
