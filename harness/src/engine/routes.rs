//! This machine's own routes: what a network of ours must not hide.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// Where the kernel tells them.
pub const TABLE: &str = "/proc/net/route";

/// The destinations but the default one, each with its interface, from the text of [`TABLE`].
pub fn routes(table: &str) -> Vec<(Ipv4Net, String)> {
    // Addresses are the machine's own integers of what is in network order: proc_net(5).
    let address = |hex: &str| Some(Ipv4Addr::from(u32::from_str_radix(hex, 16).ok()?.to_ne_bytes()));
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let net = Ipv4Net::with_netmask(address(fields.get(1)?)?, address(fields.get(7)?)?).ok()?;
        (net.prefix_len() > 0).then(|| (net, fields[0].to_owned()))
    };
    table.lines().skip(1).filter_map(route).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                     eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                     eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(routes(table), [("192.0.2.0/24".parse().unwrap(), "eth0".to_owned())]);
    }
}
