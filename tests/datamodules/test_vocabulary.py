from datamodules.vocabulary import fold_to_ascii


def test_letters_lose_their_accents_and_what_has_no_equivalent_becomes_a_question_mark():
    assert fold_to_ascii("Müller O\u2019Brien \ufb01n Σ 日本") == "Muller O'Brien fin ? ??"
    assert fold_to_ascii("e\u0301") == "e"
    assert fold_to_ascii("plain ~") == "plain ~"
