//! Which pods of many are asked: of each namespace and service account at most so many, the newest, the oldest, the next
//! newest, and so on. What starts today is among them, and what was there before anything was changed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proof::evidence::Proxy;

/// Marks those that are left out. Each comes with when its pod was created; who cannot be asked takes nobody's place.
pub(super) fn leave_out(proxies: &mut [(Option<Timestamp>, Proxy)], most: usize) {
    let mut groups: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
    for (i, (_, proxy)) in proxies.iter().enumerate().filter(|(_, (_, proxy))| proxy.unread.is_none()) {
        let workload = (proxy.workload.namespace.clone(), proxy.workload.service_account.clone());
        groups.entry(workload).or_default().push(i);
    }
    for mut group in groups.into_values().filter(|group| group.len() > most) {
        group.sort_by_key(|i| (proxies[*i].0, proxies[*i].1.workload.pod.clone()));
        // Those between are left: half of the sample is older, half is newer.
        let (older, newer) = (most / 2, most - most / 2);
        for i in &group[older..group.len() - newer] {
            proxies[*i].1.left_out = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use proof::evidence::Workload;

    use super::*;

    fn pod(account: &str, age: i64) -> (Option<Timestamp>, Proxy) {
        let workload = Workload {
            namespace: "shop".into(),
            pod: format!("{account}-{age}"),
            service_account: account.into(),
            uid: None,
        };
        (Timestamp::from_second(1_000_000 - age).ok(), Proxy::of(workload, None))
    }

    #[test]
    fn the_newest_and_the_oldest_of_each_workload_are_asked() {
        let asked = |most: usize| {
            let mut all: Vec<_> = [3, 1, 4, 2, 5].map(|age| pod("web", age)).into();
            all.push(pod("db", 9));
            all[2].1.unread = Some("its proxy does not run".into());
            leave_out(&mut all, most);
            let asked =
                all.iter().filter(|(_, proxy)| !proxy.left_out).map(|(_, proxy)| proxy.workload.pod.clone());
            asked.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(asked(1), "web-1 web-4 db-9");
        assert_eq!(asked(2), "web-1 web-4 web-5 db-9");
        assert_eq!(asked(3), "web-1 web-4 web-2 web-5 db-9");
        assert_eq!(asked(4), "web-3 web-1 web-4 web-2 web-5 db-9");
    }
}
