"""Surnames by country, from the locale tables of the Faker package: real names that need no download."""

import importlib

LOCALES = {
    "Croatia": "hr_HR", "Czechia": "cs_CZ", "Estonia": "et_EE", "Finland": "fi_FI", "France": "fr_FR",
    "Germany": "de_DE", "India": "en_IN", "Indonesia": "id_ID", "Ireland": "ga_IE", "Italy": "it_IT",
    "Kenya": "en_KE", "Netherlands": "nl_NL", "Slovakia": "sk_SK", "Slovenia": "sl_SI", "South Africa": "zu_ZA",
    "Spain": "es_ES", "Sweden": "sv_SE", "United Kingdom": "en_GB",
}  # fmt: skip
# Those in Latin letters with more than 150 names: a name in Greek or Tamil letters would be no question at all.


def surnames_by_country() -> dict[str, list[str]]:
    """The names of each country, in the order of the countries, as Faker keeps them."""
    names = {}
    for country, locale in LOCALES.items():
        provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
        names[country] = [str(name) for name in provider.last_names]
    return names
