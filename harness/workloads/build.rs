//! Generates the two gRPC services of the registrar. They are small and frozen, so they are described here
//! instead of in .proto files, which would need a protoc on every machine.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let codec = "tonic_prost::ProstCodec";
    let method = |name: &str, route: &str, input: &str, output: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type(format!("crate::{input}"))
            .output_type(format!("crate::{output}"))
            .codec_path(codec)
            .build()
    };
    // kubelet/pkg/apis/pluginregistration/v1/api.proto of k8s.io/kubelet.
    let registration = Service::builder()
        .name("Registration")
        .package("pluginregistration")
        .method(method("get_info", "GetInfo", "InfoRequest", "PluginInfo"))
        .method(method(
            "notify_registration_status",
            "NotifyRegistrationStatus",
            "RegistrationStatus",
            "RegistrationStatusResponse",
        ))
        .build();
    // csi.proto of the Container Storage Interface, version 1.
    let identity = Service::builder()
        .name("Identity")
        .package("csi.v1")
        .method(method("get_plugin_info", "GetPluginInfo", "GetPluginInfoRequest", "GetPluginInfoResponse"))
        .build();
    Builder::new().build_client(false).compile(&[registration]);
    Builder::new().build_server(false).compile(&[identity]);
    println!("cargo::rerun-if-changed=build.rs");
}
