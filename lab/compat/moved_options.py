"""Where options of earlier versions are now: their checkpoints, config.yaml files, configs and studies still open.

One table. `tests/lab/compat/test_moved_options.py` walks it. Imports nothing of the project, so that everything may use
it.
"""

from typing import Any

# The networks of SequenceClassifier and CharLanguageModel were built from options of the model itself; now they are
# injected. Option of the model -> (class that has it now, its name there).
RECURRENT, ENSEMBLE, CHARACTER_DROPOUT, NAIVE_BAYES, CHAR_RNN = (
    f"lightning_models.networks.{name}"
    for name in ("RecurrentNetwork", "Ensemble", "CharacterDropout", "NaiveBayesMixture", "CharRNN")
)
MOVED_OPTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "SequenceClassifier": {
        "cell": (RECURRENT, "cell"),
        "hidden_size": (RECURRENT, "hidden_size"),
        "num_layers": (RECURRENT, "num_layers"),
        "bidirectional": (RECURRENT, "bidirectional"),
        "embedding_dim": (RECURRENT, "embedding_dim"),
        "ngram_buckets": (RECURRENT, "ngram_buckets"),
        "skip": (RECURRENT, "skip"),
        "dropout": (RECURRENT, "dropout"),
        "pooling": (RECURRENT, "pooling"),
        "implementation": (RECURRENT, "implementation"),
        "forget_bias": (RECURRENT, "forget_bias"),
        "members": (ENSEMBLE, "members"),
        "character_dropout": (CHARACTER_DROPOUT, "probability"),
        "naive_bayes_buckets": (NAIVE_BAYES, "buckets"),
        "naive_bayes_edges": (NAIVE_BAYES, "edges"),
    },
    "CharLanguageModel": {
        "cell": (CHAR_RNN, "cell"),
        "num_layers": (CHAR_RNN, "num_layers"),
        "hidden_dim": (CHAR_RNN, "hidden_dim"),
        "embedding_dim": (CHAR_RNN, "embedding_dim"),
        "dropout": (CHAR_RNN, "dropout"),
        "tie_weights": (CHAR_RNN, "tie_weights"),
        "implementation": (CHAR_RNN, "implementation"),
        "forget_bias": (CHAR_RNN, "forget_bias"),
    },
}
WRAPPERS = {  # class -> the option that asked for it, and the value up to which there was none; innermost first
    ENSEMBLE: ("members", 1),
    CHARACTER_DROPOUT: ("character_dropout", 0),
    NAIVE_BAYES: ("naive_bayes_buckets", 0),
}


def current_model(model: dict[str, Any]) -> dict[str, Any]:
    """The `model` section of a config, {"class_path": ..., "init_args": {...}}, with its options where they are today.

    Returns the same object where nothing has moved, and never changes what it is given.
    """
    options = model.get("init_args") or {}
    if not isinstance(options, dict):
        return model  # for the parser to refuse
    moved = MOVED_OPTIONS.get(str(model.get("class_path")).rpartition(".")[2], {})
    if not moved.keys() & options.keys() or "network" in options:
        return model

    def arguments(class_path: str) -> dict[str, Any]:
        return {name: options[old] for old, (owner, name) in moved.items() if owner == class_path and old in options}

    innermost = next(iter(moved.values()))[0]
    network = {"class_path": innermost, "init_args": arguments(innermost)}
    for wrapper, (option, none) in WRAPPERS.items():
        value = options.get(option, none)
        if option in moved and isinstance(value, (int, float)) and value > none:  # anything else is for the parser
            network = {"class_path": wrapper, "init_args": {**arguments(wrapper), "network": network}}
    kept = {name: value for name, value in options.items() if name not in moved}
    return {**model, "init_args": {**kept, "network": network}}


def current_option(option: str, model: dict[str, Any] | None = None) -> str:
    """The name of an option today: "model.network.cell" for "model.cell"; any other name is returned unchanged.

    `model` is the section of the config that the option is to change, of today or of an earlier version. With wrapped
    networks in it, the option of one of them stands deeper: "model.network.network.cell".
    """
    owner, _, name = option.partition(".")
    if owner != "model":
        return option
    class_name = str((model or {}).get("class_path")).rpartition(".")[2]
    tables = [MOVED_OPTIONS[class_name]] if class_name in MOVED_OPTIONS else MOVED_OPTIONS.values()
    found = next((table[name] for table in tables if name in table), None)
    if found is None or (model is not None and class_name not in MOVED_OPTIONS):
        return option
    class_path, current = found
    chain = network_chain(current_model(model)) if model is not None else []
    depth = next((depth for depth, path in enumerate(chain) if path == class_path.rpartition(".")[2]), None)
    if depth is None and model is not None and class_path in WRAPPERS:
        return option  # a wrapper that is not there: the message about it is to name what was given
    depth = depth or 0
    return f"model.{'network.' * (depth + 1)}{current}"


def network_chain(model: dict[str, Any]) -> list[str]:
    """The class names of the networks in a `model` section, outermost first."""
    names: list[str] = []
    network = (model.get("init_args") or {}).get("network")
    while network:
        if isinstance(network, str):
            return [*names, network.rpartition(".")[2]]
        names.append(str(network.get("class_path")).rpartition(".")[2])
        network = (network.get("init_args") or {}).get("network")
    return names


def current_checkpoint(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint with its options and weights under their names of today; the same object where nothing has moved.

    The order of the weights stays, so that the optimizer's state, which goes by their order, still fits.
    """
    model_class, options = str(checkpoint.get("model_class")), checkpoint.get("hyper_parameters", {})
    if MOVED_OPTIONS.get(model_class.rpartition(".")[2], {}).keys() & options.keys():
        # `load_from_checkpoint` has put the options it was called with beside those of the checkpoint.
        options = {name: value for name, value in options.items() if name != "network"}
    before = {"class_path": model_class, "init_args": options}
    after = current_model(before)
    if after is before:
        return checkpoint
    weights = checkpoint["state_dict"]
    if model_class.endswith(".SequenceClassifier"):
        chain = network_chain(after)
        is_ensemble = "Ensemble" in chain
        members = "network." * (len(chain) - 1) + ("networks." if is_ensemble else "network.")

        def renamed(name: str) -> str:
            if name.startswith("naive_bayes."):
                return f"network.{name}"
            if name.startswith("networks."):
                return members + name.removeprefix("networks." if is_ensemble else "networks.0.")
            return name

        weights = {renamed(name): value for name, value in weights.items()}
    return {**checkpoint, "hyper_parameters": after["init_args"], "state_dict": weights}
