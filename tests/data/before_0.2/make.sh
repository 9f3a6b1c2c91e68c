#!/bin/sh
# Makes the run folders beside it, in the root of a checkout of commit a910e9e, the last one of version 0.1; see README.md.
set -e
here=tests/data/before_0.2
export OMP_NUM_THREADS=1 WANDB_MODE=disabled XDG_CACHE_HOME=$(mktemp -d)
pictures="--samples.grid=2 --samples.every_n_epochs=0 --samples.progress_columns=0 --samples.interpolation_steps=0"
short="--quiet --trainer.accelerator=cpu --trainer.max_epochs=2 --trainer.log_every_n_steps=5"

python cli.py fit $short $pictures --run_dir $here/gan --data Digits --data.batch_size=128 --model GAN \
    --model.latent_dim=4 --model.generator=DCGANGenerator --model.generator.width=4 --model.generator.stages=2 \
    --model.discriminator=DCGANDiscriminator --model.discriminator.width=4 --model.discriminator.stages=2 --model.discriminator.normalization=none \
    --model.objective=Hinge --model.regularizer=GradientPenalty --model.regularizer.weight=1.0 \
    --model.ema_decay=0.9 --model.input_noise=0.1 --model.input_noise_batches=40

python cli.py fit $short --run_dir $here/image_classifier --data Digits --data.batch_size=128 --model ImageClassifier \
    --model.network=CNNClassifier --model.network.channels='[4]' --model.network.kernel_sizes='[3]' --model.network.hidden_dims='[8]' \
    --model.network.normalization=batch --model.schedule=OneCycle \
    --trainer.callbacks+=PublishJudge --trainer.callbacks.name=tiny

python cli.py fit $short --run_dir $here/sequence_classifier --data Names --data.batch_size=512 \
    --model SequenceClassifier --model.cell=gru --model.hidden_size=4 --model.bidirectional=true \
    --model.embedding_dim=4 --model.ngram_buckets=32 --model.skip=true --model.dropout=0.1 \
    --model.character_dropout=0.1 --model.pooling=max --model.implementation=scratch --model.members=2 \
    --model.naive_bayes_buckets=64 --model.naive_bayes_edges=true --model.class_balance=0.5 \
    --model.logit_adjustment=0.5 --model.label_smoothing=0.1 \
    --model.optimizer=torch.optim.AdamW --model.schedule=Cosine --model.schedule.warmup=0.1 \
    --trainer.gradient_clip_val=1

python cli.py fit $short --run_dir $here/language_model --data Text --data.path $here/text.txt \
    --data.batch_size=2 --data.chunk_length=16 --model CharLanguageModel --model.cell=lstm --model.hidden_dim=8 \
    --model.embedding_dim=4 --model.dropout=0.1 --model.implementation=scratch --model.forget_bias=1.0 \
    --trainer.max_epochs=-1 --trainer.max_steps=30

python cli.py fit $short $pictures --run_dir $here/vae --data Digits --data.batch_size=128 \
    --data.value_range='[0.0, 1.0]' --model VAE --model.latent_dim=2 --model.encoder=MLPDiscriminator \
    --model.encoder.hidden_dims='[8]' --model.decoder=MLPGenerator --model.decoder.hidden_dims='[8]' \
    --model.decoder.batch_norm=false --model.decoder.output=sigmoid --model.likelihood=Gaussian \
    --model.likelihood.learned=true --model.kl_warmup_epochs=1

python cli.py study $here/latent.yaml --study_dir $here/study

# Only what the tests open is stored.
for run in gan image_classifier sequence_classifier language_model vae; do
    find $here/$run -mindepth 1 -maxdepth 1 ! -name config.yaml ! -name checkpoints ! -name metrics.csv -exec rm -r {} +
    find $here/$run/checkpoints -type f ! -name last.ckpt -delete
done
find $here/study -name checkpoints -prune -exec rm -r {} +
find $here/study -name "grid-000000[06].png" -delete
