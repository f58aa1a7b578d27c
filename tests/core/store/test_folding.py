"""SQL folds names as Python does, on both databases, for generated names."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.store.database import Database
from core.store.folding import folded, searched, sql_folded, sql_searched

NAMES = st.lists(
    st.one_of(
        st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=40),
        st.text(st.sampled_from("aouAOUsSeiI -.'19äöüÄÖÜßẞæŒøŁıéÉ\u0308\u0301"), max_size=40),
        st.text(st.characters(max_codepoint=0x24F, exclude_characters="\0"), max_size=40),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=NAMES)
async def test_sql_folds_like_python(database_url: str, names: list[str]) -> None:
    database = Database(database_url)
    try:
        for name in names:
            text = "CAST($1 AS VARCHAR(80))"
            row = await database.fetch_first(
                f"SELECT {sql_folded(text)} AS folded, {sql_searched(text)} AS searched", name
            )
            assert row is not None
            # `lower` of SQLite leaves letters beyond ASCII alone; the translation contains both cases of them.
            assert (row["folded"].lower(), row["searched"].lower()) == (folded(name), searched(name))
    finally:
        await database.close()
