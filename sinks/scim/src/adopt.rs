//! What stands where something should be made, and is not the sink's.

use rolecall_sink_api::{Group, User};
use rolecall_sink_http::Halt;

use crate::attribute::{Attributes, text};
use crate::config::OnExisting;
use crate::resource::Resource;
use crate::service::ResourceType;
use crate::work::Work;

impl Work<'_> {
    /// The account of somebody else's that has the user's `userName`, if it may be adopted.
    ///
    /// # Errors
    /// When it may not: an application that does not keep names apart would let us make a second one, or write to
    /// the first.
    pub(crate) async fn other_account(
        &self,
        of: &ResourceType,
        user: &User,
        desired: &Attributes,
    ) -> Result<Option<Resource>, Halt> {
        let name = text(desired, "userName").unwrap_or_default();
        let Some(found) = self.find(of, "userName", name).await? else { return Ok(None) };
        if self.sink.users_on_existing == OnExisting::Refuse {
            let reason = format!(
                "its userName belongs to the account {}, which rolecall did not make: rename one of them, or set \
                 users.on_existing to adopt to take the account over",
                found.id
            );
            return Err(self.reject(&reason));
        }
        if !may_be_adopted(&found, user.profile.external_id.as_deref()) {
            let reason = format!(
                "its userName belongs to the account {}, whose externalId is somebody else's: rename one of them, \
                 or remove that externalId if the account is this user's",
                found.id
            );
            return Err(self.reject(&reason));
        }
        Ok(Some(found))
    }

    /// The group of somebody else's that has the group's `displayName`, if it may be adopted. Otherwise it is left
    /// alone: two groups may have one name.
    pub(crate) async fn other_group(
        &self,
        of: &ResourceType,
        group: &Group,
        desired: &Attributes,
    ) -> Result<Option<Resource>, Halt> {
        let Some(name) = text(desired, "displayName") else { return Ok(None) };
        if self.sink.groups_on_existing == OnExisting::Refuse {
            return Ok(None);
        }
        let found = self.find(of, "displayName", name).await?;
        Ok(found.filter(|found| may_be_adopted(found, group.external_id.as_deref())))
    }
}

/// Whether nobody else has marked it, or the identity provider has, which gave `own` to the same user or group.
fn may_be_adopted(found: &Resource, own: Option<&str>) -> bool {
    found.external_id().is_none_or(|id| Some(id) == own)
}
