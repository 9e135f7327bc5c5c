use crate::Code;
use crate::sync::Endpoint;

#[test]
fn the_path_of_a_signal_is_no_part_of_an_endpoint() {
    for (given, metrics) in [
        ("http://localhost:4318", "http://localhost:4318/v1/metrics"),
        ("http://localhost:4318/", "http://localhost:4318/v1/metrics"),
        ("http://localhost:4318///", "http://localhost:4318/v1/metrics"),
        ("http://localhost:4318/v1/metrics", "http://localhost:4318/v1/metrics"),
        ("http://localhost:4318/v1/metrics/", "http://localhost:4318/v1/metrics"),
        ("http://localhost:4318/v1/logs", "http://localhost:4318/v1/metrics"),
        ("http://localhost:4318/v1/traces", "http://localhost:4318/v1/metrics"),
        ("HTTPS://a.example/otlp/v1/logs//", "HTTPS://a.example/otlp/v1/metrics"),
        ("https://a.example/opentelemetry", "https://a.example/opentelemetry/v1/metrics"),
        ("https://a.example/my/v1/metrics/of/mine", "https://a.example/my/v1/metrics/of/mine/v1/metrics"),
        ("https://a.example/v1/metrics?key=a/b&c=d", "https://a.example/v1/metrics?key=a/b&c=d"),
        ("https://a.example?", "https://a.example/v1/metrics"),
        ("http://[::1]:4318/", "http://[::1]:4318/v1/metrics"),
    ] {
        assert_eq!(Endpoint::parse(given).unwrap().url("/v1/metrics"), metrics, "{given}");
    }
}

#[test]
fn what_is_no_address_is_refused() {
    for given in [
        "",
        "localhost:4318",
        "127.0.0.1",
        "//a",
        "ftp://a",
        "unix:///run/a",
        "http:/a",
        "http://",
        "http:///v1/metrics",
        "http://:4318",
        "http://user@",
        "http://a b",
        "http://a\n",
        "http://a#b",
    ] {
        let error = Endpoint::parse(given).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{given}");
        assert!(error.message().starts_with("endpoint: expected "), "{error}");
        assert!(error.message().ends_with(&format!("got '{given}'")), "{error}");
    }
}
