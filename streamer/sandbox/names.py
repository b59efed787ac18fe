"""The words that the sandbox's company is made of."""

from __future__ import annotations

from typing import Final

GIVEN_NAMES: Final = (
    "Ada", "Amara", "Anton", "Beatriz", "Bram", "Chidi", "Clara", "Dae-jung", "Daria", "Elif",
    "Emil", "Farah", "Freya", "Gabriel", "Hana", "Hugo", "Ines", "Ivo", "Jonas", "Júlia", "Kaito",
    "Katya", "Leila", "Linus", "Magnus", "Mei", "Nadia", "Nils", "Oona", "Owen", "Paula", "Priya",
    "Quentin", "Ravi", "Rosa", "Sami", "Sofía", "Tariq", "Thea", "Uma", "Viktor", "Wanda", "Ximena",
    "Yara", "Yusuf", "Zoë",
)  # fmt: skip
FAMILY_NAMES: Final = (
    "Abebe", "Almeida", "Berg", "Bianchi", "Castillo", "Chen", "Dubois", "Duarte", "Eriksen",
    "Fischer", "García", "Haddad", "Holm", "Ivanova", "Jansen", "Kaur", "Kowalski", "Laurent",
    "Lindqvist", "Mbeki", "Meyer", "Moreau", "Nakamura", "Novak", "O'Connor", "Okafor", "Park",
    "Petrov", "Quinn", "Rahman", "Rossi", "Sato", "Schäfer", "Silva", "Tanaka", "Ueda", "Varga",
    "Weiss", "Yildiz", "Zhang",
)  # fmt: skip
PARTNERS: Final = (
    "aldgate-insurance", "bluefin-logistics", "cobalt-clinics", "dunmore-foods", "eastbay-schools",
    "fennel-retail", "gravel-hill-mining", "harbor-credit", "ironbridge-steel", "juniper-hotels",
)  # fmt: skip
ENVIRONMENTS: Final = (
    "production", "staging", "development", "eu-production", "partner-testing", "training",
    "migration-2026", "load-testing",
)  # fmt: skip
SPACES: Final = (
    "Payroll", "Open enrollment", "Census", "Dependents", "Claims history", "Provider directory",
    "Premium reconciliation", "New hires", "Terminations", "Broker commissions", "Leave balances",
    "Retirement contributions",
)  # fmt: skip
SHEETS: Final = ("employees", "dependents", "elections", "addresses", "contributions", "claims")
WORKBOOKS: Final = ("Employees", "Plans", "Coverage", "Monthly import")
FIELDS: Final = (
    "first_name", "last_name", "email", "date_of_birth", "hire_date", "plan_code", "salary",
    "coverage_tier", "postal_code", "city", "employee_number", "cost_centre",
)  # fmt: skip
VALUES: Final = (
    "Gold PPO 500", "EMP+FAM", "2024-07-01", "Köln", "São Paulo", "10115", "52,400.00", "n/a", "",
    "K-20931", "ada.park@example.com", "Bergstraße 12", "山田太郎", 'Unit "B", 2nd floor', "true",
    "waived", "0042", "1986-02-28", "+49 30 901820", "part-time, 24 h",
)  # fmt: skip
FILES: Final = (
    "census_2026_q3.csv", "payroll-export.xlsx", "dependents.tsv", "carrier_feed.834",
    "open-enrollment (final) v2.xlsx", "new hires october.csv",
)  # fmt: skip
OPERATIONS: Final = (
    ("file", "extract"), ("workbook", "map"), ("sheet", "dedupe"), ("workbook", "export"),
    ("space", "configure"), ("sheet", "find-replace"), ("workbook", "delete-records"),
)  # fmt: skip
SENTENCES: Final = (
    "Checked against the carrier's file of last month.",
    "Three rows have no plan code; the broker is asked.",
    "Values were trimmed and dates brought into one form.",
    "Waiting for the signed census before the export.",
    "Duplicates by employee number and date of birth were merged.",
    "Prämien für das Quartal abgeglichen, zwei Abweichungen offen.",
    "The mapping of the year before was taken over unchanged.",
)
