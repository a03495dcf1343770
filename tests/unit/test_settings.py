from __future__ import annotations

from argparse import Namespace

import pytest

from derivasys.settings import Settings, SettingsError, fill_access, load


def test_nothing_said_is_the_defaults():
    loaded = load({"PATH": "/bin", "DERIVASYS_DATA": "/somewhere"})
    assert loaded.settings == Settings()
    assert set(loaded.sources.values()) == {"default"}


def test_the_environment_wins_over_the_file_and_the_file_over_defaults(tmp_path):
    path = tmp_path / "derivasys.toml"
    path.write_text('environment = "dev"\nlog = "json"\nrefresh_s = 60\n[credentials]\nokx = "file:/x"\n')
    loaded = load(
        {
            "DERIVASYS_SETTINGS": str(path),
            "DERIVASYS_ENVIRONMENT": "prod",
            "DERIVASYS_CREDENTIALS_DERIBIT": "file:/y",
        }
    )
    settings = loaded.settings
    assert (settings.environment, settings.log, settings.log_level, settings.refresh_s) == (
        "prod",
        "json",
        "WARNING",
        60,
    )
    assert settings.credentials == {"okx": "file:/x", "deribit": "file:/y"}
    assert loaded.sources["environment"] == "DERIVASYS_ENVIRONMENT"
    assert loaded.sources["log"] == str(path)
    assert loaded.sources["log_level"] == "default"


def test_a_text_may_be_kept_elsewhere(tmp_path):
    (tmp_path / "level").write_text("INFO\n")
    assert load({"DERIVASYS_LOG_LEVEL": f"file:{tmp_path}/level"}).settings.log_level == "INFO"


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"DERIVASYS_LOGS": "json"}, "DERIVASYS_LOGS: not known; there are .*DERIVASYS_LOG,"),
        ({"DERIVASYS_LOG": "xml"}, "DERIVASYS_LOG"),
        ({"DERIVASYS_REFRESH_S": "0"}, "DERIVASYS_REFRESH_S"),
        ({"DERIVASYS_REFRESH_S": "soon"}, "DERIVASYS_REFRESH_S"),
        ({"DERIVASYS_OTLP_ENDPOINT": "collector"}, "DERIVASYS_OTLP_ENDPOINT"),
        ({"DERIVASYS_RECORDINGS": "/data"}, "DERIVASYS_RECORDINGS"),
        ({"DERIVASYS_CREDENTIALS_MTGOX": "file:/x"}, "mtgox"),
        ({"DERIVASYS_SETTINGS": "/nowhere.toml"}, "/nowhere.toml: No such file"),
        ({"DERIVASYS_LOG_LEVEL": "file:/nowhere"}, "DERIVASYS_LOG_LEVEL: file:/nowhere: No such file"),
    ],
)
def test_a_setting_that_cannot_be_is_named(environ, told):
    with pytest.raises(SettingsError, match=told):
        load(environ)


def test_a_file_with_an_unknown_name_is_refused(tmp_path):
    path = tmp_path / "derivasys.toml"
    path.write_text("colour = 'red'\n")
    with pytest.raises(SettingsError, match="colour"):
        load({"DERIVASYS_SETTINGS": str(path)})


@pytest.mark.parametrize("name", ["DERIVASYS_API_KEYS", "DERIVASYS_TLS", "DERIVASYS_CREDENTIALS_DERIBIT"])
def test_a_secret_in_the_open_is_refused_without_being_shown(name):
    with pytest.raises(SettingsError, match="must be a reference") as error:
        load({name: "sentinel-7f3a"})
    assert "sentinel" not in str(error.value)


def test_access_comes_from_settings_where_the_command_line_says_nothing(tmp_path):
    (tmp_path / "tls.json").write_text('{"cert": "PEM one", "key": "PEM two"}')
    (tmp_path / "keys").write_text("viewer 00")
    environ = {
        "DERIVASYS_TLS": f"file:{tmp_path}/tls.json",
        "DERIVASYS_API_KEYS": f"file:{tmp_path}/keys",
        "DERIVASYS_ORIGINS": "https://a.example, https://b.example",
    }
    options = Namespace(api_keys=None, tls_cert=None, tls_key=None, origin=[])
    fill_access(options, load(environ))
    assert options.api_keys == tmp_path / "keys"
    assert (options.tls_cert.read_text(), options.tls_key.read_text()) == ("PEM one", "PEM two")
    assert options.tls_key.stat().st_mode & 0o077 == 0
    assert options.origin == ["https://a.example", "https://b.example"]
    said = Namespace(api_keys="mine", tls_cert="my.pem", tls_key=None, origin=["https://c.example"])
    fill_access(said, load(environ))
    assert (said.api_keys, said.tls_cert, said.origin) == ("mine", "my.pem", ["https://c.example"])
