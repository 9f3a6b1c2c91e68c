"""What configs take from their paper or report; compared with the parsed options, which hold the code's defaults, too.

A name may stand anywhere in the options, `data.value_range` anywhere below `data`. A recipe has every number that its
config states of the training, ours among them where the source is silent.
"""

DCGAN = {"lr": 2e-4, "betas": (0.5, 0.999), "eps": 1e-8}  # Radford et al. 2016, section 4
KERAS = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-7}  # Keras' default Adam
TORCH = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}  # PyTorch's
ARJOVSKY = {"lr": 5e-5, "momentum": 0.0}  # RMSprop of Arjovsky et al. 2017, algorithm 1
GULRAJANI = {"lr": 1e-4, "betas": (0.0, 0.9)}  # Adam of Gulrajani et al. 2017, algorithm 1

MIYATO = {"lr": 2e-4, "betas": (0.0, 0.9)}  # Adam of Miyato et al. 2018, section 4; R3GAN's at the start
SMALL_DCGAN = {  # not of a paper: what the small DCGANs of MNIST share
    **{"optimizer_g": {**DCGAN, "lr": 1e-3}, "optimizer_d": {**DCGAN, "lr": 1e-3}, "latent_dim": 64},
    **{"batch_size": 128, "ema_decay": 0.98},
}

REPORT_1_FACES = {
    **{"latent_dim": 100, "noise": "normal_over_max", "fresh_noise": True, "optimizer_g": DCGAN, "optimizer_d": DCGAN},
    **{"n_critic": 1, "batch_size": 128, "image_size": 64, "shuffle": False, "initialization": "torch"},
    **{"real_label": 1.0, "fake_label": 0.0},
}
WGAN = {
    **{"objective": "Wasserstein", "regularizer": "WeightClipping", "clip_value": 0.01, "n_critic": 5},
    **{"optimizer_g": ARJOVSKY, "optimizer_d": ARJOVSKY, "batch_size": 64},
}
WGANGP = {
    **{"objective": "Wasserstein", "regularizer": "GradientPenalty", "weight": 10.0, "n_critic": 5},
    **{"optimizer_g": GULRAJANI, "optimizer_d": GULRAJANI, "batch_size": 64, "latent_dim": 128},
    "discriminator.normalization": "none",
}
REPORT_4_LAYERS = {
    **{"hidden_layers": 3, "normalization": "batch", "flatten_dropout": 0.3, "discriminator.dropout": 0.0},
    **{"initialization": "dcgan", "max_epochs": 1000},
}
REPORT_5_CLASSIFIER = {
    **{"optimizer": KERAS, "schedule": "Constant", "batch_size": 128, "max_epochs": 10, "data.value_range": (0.0, 1.0)},
    **{"validate_on_test": True, "val_fraction": 0.0, "l1": 0.0, "l2": 0.0, "label_smoothing": 0.0, "dropout": 0.0},
}
REPORT_3_PALINDROMES = {
    **{"optimizer": {"lr": 1e-3, "alpha": 0.99}, "hidden_size": 128, "batch_size": 128, "data.length": 5},
    **{"gradient_clip_val": 10, "max_steps": 4000},
}

RECIPES = {
    "gan/mnist_mlp": {  # report 3
        **{"objective": "NonSaturating", "n_critic": 1, "latent_dim": 100, "noise": "normal", "batch_size": 64},
        **{"optimizer_g": {**TORCH, "lr": 2e-4}, "optimizer_d": {**TORCH, "lr": 2e-4}, "max_epochs": 200},
    },
    "gan/mnist_dcgan": {  # report 2
        **{"objective": "NonSaturating", "n_critic": 1, "latent_dim": 100, "fresh_noise": True, "batch_size": 128},
        **{"optimizer_g": {**DCGAN, "eps": 1e-7}, "optimizer_d": {**DCGAN, "eps": 1e-7}},
        **{"max_epochs": 100, "limit_train_batches": 234, "with_replacement": True, "data.value_range": (0.0, 1.0)},
        **{
            "val_fraction": 0.0,
            "dropout": 0.4,
            "leaky_slope": 0.2,
            "discriminator.normalization": "none",
            "generator.normalization": "none",
        },
    },
    "gan/mnist_upsampling": {  # report 5, part 2
        **{"objective": "NonSaturating", "real_label": 0.9, "fake_label": 0.1, "noise": "uniform", "latent_dim": 100},
        **{"optimizer_g": KERAS, "optimizer_d": KERAS, "batch_size": 128, "max_epochs": 150},
        **{
            "limit_train_batches": 128,
            "with_replacement": True,
            "upsampling": "nearest",
            "data.value_range": (0.0, 1.0),
            "val_fraction": 0.0,
        },
        **{"generator.kernel_size": 5, "discriminator.kernel_size": 5, "generator.normalization": "batch"},
        **{"batch_norm_momentum": 0.6, "batch_norm_eps": 1e-3, "generator.leaky_slope": 0.0},
        **{"discriminator.leaky_slope": 0.3, "discriminator.dropout": 0.3},
    },
    "gan/cifar10": {  # report 4
        **{"objective": "NonSaturating", "n_critic": 1, "latent_dim": 100, "batch_size": 128},
        **{"optimizer_g": DCGAN, "optimizer_d": DCGAN, **REPORT_4_LAYERS},
    },
    "gan/faces_64": {**REPORT_1_FACES, "objective": "NonSaturating", "spectral_norm": False, "max_epochs": 18},
    "gan/faces_64_sn": {**REPORT_1_FACES, "objective": "NonSaturating", "spectral_norm": True, "max_epochs": 18},
    "gan/stacked_mnist": {
        **{"num_samples": 26_000, "latent_dim": 100, "optimizer_g": DCGAN, "optimizer_d": DCGAN},
        **{"batch_size": 128, "max_epochs": 25},
    },
    "gan/cifar10_sngan": {  # Miyato et al. 2018, table 4 and section 4; 50,000 updates of G
        **{
            "objective": "Hinge",
            "n_critic": 5,
            "latent_dim": 128,
            "noise": "normal",
            "discriminator.spectral_norm": True,
        },
        **{"optimizer_g": MIYATO, "optimizer_d": MIYATO, "batch_size": 64, "max_steps": 5 * 50_000},
        **{"model.schedule": "Linear", "final": 0.0, "until": 1.0, "warmup": 0.0, "horizontal_flip": True},
        **{"fresh_noise": True, "conditional": False},
    },
    "gan/cifar10_r3gan": {  # Huang et al. 2024; the cosines end after 20 million images, half of the training
        **{
            "objective": "RelativisticPairing",
            "n_critic": 1,
            "latent_dim": 64,
            "conditional": True,
            "fresh_noise": True,
        },
        **{"optimizer_g": MIYATO, "optimizer_d": MIYATO, "batch_size": 512, "max_steps": 2 * 20_000_000 // 512},
        **{"model.schedule": "Cosine", "schedule.final": 5e-5 / 2e-4, "schedule.final_beta2": 0.99, "until": 0.5},
        **{"penalty_schedule.final": 0.1, "ema_schedule.initial": 0.0, "ema_schedule.final": 1.0},
        **{"regularizer": ("R1", "R2"), "weight": 0.05, "ema_decay": 0.999929, "probability": 0.55},
        **{"horizontal_flip": True},
    },
    "lsgan/faces_64": {**REPORT_1_FACES, "objective": "LeastSquares", "spectral_norm": False, "max_epochs": 23},
    "lsgan/faces_64_sn": {**REPORT_1_FACES, "objective": "LeastSquares", "spectral_norm": True, "max_epochs": 23},
    "lsgan/mnist": {
        **{"objective": "LeastSquares", "real_label": 1.0, "fake_label": 0.0, "n_critic": 1, "max_epochs": 3},
        **SMALL_DCGAN,
    },
    "wgan/mnist": {**WGAN, **REPORT_4_LAYERS, "latent_dim": 100},
    "wgan/cifar10": {**WGAN, **REPORT_4_LAYERS, "latent_dim": 100},
    "wgan_gp/mnist": {**WGANGP, "max_epochs": 100},
    "wgan_gp/cifar10": {**WGANGP, "max_epochs": 200},
    "vae/mnist_mlp": {  # pytorch/examples
        **{"latent_dim": 20, "likelihood": "Bernoulli", "beta": 1.0, "optimizer": TORCH, "batch_size": 128},
        **{
            "max_epochs": 10,
            "val_fraction": 0.0,
            "data.value_range": (0.0, 1.0),
            "free_bits": 0.0,
            "kl_warmup_epochs": 0,
        },
        **{"leaky_slope": 0.0, "hidden_dims": (400,)},
    },
    "vae/mnist_binary": {  # Burda et al. 2016, section 5
        **{"latent_dim": 50, "likelihood": "BinarizedBernoulli", "beta": 1.0, "optimizer": {**TORCH, "eps": 1e-4}},
        **{"encoder.hidden_dims": (200, 200), "decoder.hidden_dims": (200, 200), "batch_norm": False},
        **{"batch_size": 128, "max_epochs": 100, "data.value_range": (0.0, 1.0)},
    },
    "vae/cifar10": {  # report 4; the learned variance is that of Rybkin et al. 2021
        **{"latent_dim": 100, "likelihood": "Gaussian", "learned": True, "beta": 1.0, "hidden_layers": 3},
        **{"normalization": "batch", "max_epochs": 1000, "batch_size": 128, "dropout": 0.0},
    },
    "vae/mnist": {  # report 4's best size
        **{"latent_dim": 20, "beta": 1.0, "batch_size": 128, "data.value_range": (0.0, 1.0), "max_epochs": 15},
        **{"dropout": 0.0},
    },
    "classifier/mnist_mlp": {**REPORT_5_CLASSIFIER, "hidden_dims": (200, 100), "initialization": "he"},
    "classifier/mnist_mlp_small": {**REPORT_5_CLASSIFIER, "hidden_dims": (47, 25), "initialization": "glorot"},
    "classifier/mnist_cnn": {
        **{**REPORT_5_CLASSIFIER, "channels": (20, 10), "kernel_sizes": (5, 3), "initialization": "glorot"},
    },
    "text/shakespeare_report": {  # report 1
        **{"optimizer": {**TORCH, "lr": 0.01}, "schedule": "Constant", "gradient_clip_norm": None, "batch_size": 100},
        **{"batches": "chunks", "chunk_length": 200, "cell": "lstm", "num_layers": 1, "hidden_dim": 150},
        **{"max_steps": 2000},
    },
    "text/shakespeare_lstm": {
        **{"cell": "lstm", "num_layers": 1, "hidden_dim": 150, "batches": "streams", "batch_size": 32},
        **{"chunk_length": 64, "max_epochs": 20},
    },
    "text/dickens_gru": {
        **{"cell": "gru", "num_layers": 1, "hidden_dim": 200, "normalisation": "ascii", "batch_size": 64},
        **{"chunk_length": 100, "max_epochs": 2},
    },
    "palindromes/lstm": {**REPORT_3_PALINDROMES, "cell": "lstm", "forget_bias": 3.0},
    "palindromes/rnn": {**REPORT_3_PALINDROMES, "cell": "rnn", "forget_bias": None},
    "languages/report_1": {
        **{
            "cell": "lstm",
            "num_layers": 2,
            "hidden_size": 600,
            "embedding_dim": 600,
            "optimizer": TORCH,
            "schedule": "Constant",
        },
        **{"max_steps": 4000, "batch_size": 100, "ascii_only": True, "chunk_lengths": (50, 50)},
        **{"eval_chunk_lengths": (10, 50), "label_smoothing": 0.0, "dropout": 0.0},
    },
}

OURS = {  # configs that follow no source
    *("classifier/cifar10", "classifier/digits", "classifier/digits_features", "classifier/mnist_features"),
    *("classifier/mnist_mlp_one_cycle", "gan/cat_faces", "gan/cats_128", "gan/digits", "gan/mnist"),
    *("gan/mnist_conditional", "languages/languages", "names/names", "names/names_balanced", "names/surnames"),
    *("text/english", "text/shakespeare_best", "text/shakespeare_gru", "text/shakespeare_rnn", "vae/digits"),
}
ELSEWHERE = {  # numbers of networks, whose parameter counts are pinned where they are published, and of what is logged
    *("channels", "kernel_size", "output_kernel_size", "width", "drop_last", "patience", "stopping_threshold"),
    *("log_every_n_steps", "val_check_interval", "check_val_every_n_epoch"),
}


def names_in(recipe):
    """The options that a recipe has, without what they are below."""
    return {
        name.rpartition(".")[2]
        for key, value in recipe.items()
        for name in (key, *(value if isinstance(value, dict) else ()))
    }


def numbers_in(node, name=""):
    """The options of a config file, as YAML has it, whose values are numbers, true or false, or lists of numbers."""
    if isinstance(node, dict):
        return {found for key, value in node.items() for found in numbers_in(value, key)}
    items = node if isinstance(node, list) else [node]
    if any(isinstance(item, dict) for item in items):
        return {found for item in items for found in numbers_in(item, name)}
    return {name} if all(isinstance(item, (int, float)) for item in items) else set()


def find(options, name):
    """The values of `name` (`discriminator.normalization`: below that option) anywhere in parsed options."""
    owner, _, last = name.rpartition(".")
    found = []
    for key, value in vars(options).items():
        if key == last and not owner:
            found.append(value)
        else:
            for item in value if isinstance(value, list) else [value]:
                found += find(item, last if key == owner else name) if hasattr(item, "__dict__") else []
    return found


def described(value, expected):
    """A class as its name or, where `expected` is a dict, as its options of these names."""
    if isinstance(value, list):
        return tuple(described(item, expected) for item in value)
    if not hasattr(value, "class_path"):
        return value
    if isinstance(expected, dict):
        return {name: value.init_args[name] for name in expected}
    return value.class_path.rpartition(".")[2]


def differences(options, recipe):
    """Where parsed options differ from a recipe: {name: (found, expected)}."""
    wrong = {}
    for name, expected in recipe.items():
        found = [described(value, expected) for value in find(options, name)]
        if not found or any(value != expected for value in found):
            wrong[name] = (found, expected)
    return wrong
