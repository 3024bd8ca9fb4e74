import stat
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from admin.test_issuer import Algorithm, IssuerFolderError, app, make_issuer, mint_token, open_issuer
from exhaust.errors import ExhaustError
from exhaust.postgres.token_subjects import TokenSubject
from exhaust.tokens.verifier import open_token_verifier


@pytest.mark.parametrize("algorithm", list(Algorithm))
async def test_a_minted_token_is_accepted(algorithm: Algorithm, tmp_path: Path) -> None:
    made = make_issuer(tmp_path / "issuer", algorithm, issuer='https://"quoted".test', audience="me \\ you")
    assert open_issuer(made.folder) == made
    async with open_token_verifier(made.issuers_file, environ=made.environment) as verifier:
        assert await verifier.verify(mint_token(made, "ünal")) == TokenSubject(made.issuer, "ünal")
        with pytest.raises(ExhaustError):
            await verifier.verify(mint_token(made, "ünal", timedelta(hours=2)))


@pytest.mark.parametrize("algorithm", [Algorithm.ED25519, Algorithm.HS256])
def test_only_the_owner_can_read_the_issuers_files(algorithm: Algorithm, tmp_path: Path) -> None:
    made = make_issuer(tmp_path / "issuer", algorithm)
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made.folder.iterdir()}
    keys = {"hs256.key"} if algorithm is Algorithm.HS256 else {"private.pem", "jwks.json"}
    assert modes == dict.fromkeys({"issuers.toml", *keys}, 0o600)
    if algorithm is Algorithm.ED25519:
        assert '"d"' not in (made.folder / "jwks.json").read_text()


def test_an_existing_issuer_is_not_overwritten(tmp_path: Path) -> None:
    made = make_issuer(tmp_path)
    before = made.issuers_file.read_bytes()
    with pytest.raises(IssuerFolderError, match="already holds an issuer"):
        make_issuer(tmp_path, Algorithm.HS256)
    assert made.issuers_file.read_bytes() == before


def test_the_error_names_a_folder_without_an_issuer(tmp_path: Path) -> None:
    with pytest.raises(IssuerFolderError, match="holds no issuer"):
        open_issuer(tmp_path)


async def test_the_command_makes_an_issuer_and_mints_its_tokens(tmp_path: Path) -> None:
    folder = str(tmp_path / "issuer")
    run = CliRunner()
    made = run.invoke(app, ["make", "--folder", folder, "--algorithm", "es256"])
    assert made.exit_code == 0
    assert f"export EXHAUST_TOKEN_ISSUERS='{folder}/issuers.toml'" in made.output
    minted = run.invoke(app, ["mint", "--folder", folder, "--subject", "partner-7", "--lifetime", "60"])
    assert minted.exit_code == 0
    async with open_token_verifier(tmp_path / "issuer" / "issuers.toml") as verifier:
        assert (await verifier.verify(minted.output.strip())).subject == "partner-7"
    assert run.invoke(app, ["make", "--folder", folder]).exit_code == 2
    assert run.invoke(app, ["mint", "--folder", str(tmp_path), "--subject", "partner-7"]).exit_code == 2
