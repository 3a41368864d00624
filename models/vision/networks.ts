/**
 * The kinds of networks that judge or describe pictures: which files each is published as, and where. What
 * they compute is loaded when one is opened.
 *
 * @module
 */

import { ONNX } from "./described_network.ts";
import type { NetworkKind } from "./network_kind.ts";

/** ImageReward among the kinds of networks. */
export const IMAGE_REWARD: NetworkKind = {
  name: "image-reward",
  title: "ImageReward",
  makes: ["verifier"],
  files: [
    { role: "weights", names: ["ImageReward.pt"] },
    { role: "tokenizer", names: ["tokenizer.json", "vocab.txt"], place: "hf:google-bert/bert-base-uncased" },
  ],
  place: "hf:THUDM/ImageReward",
  open: async (device, { weights, tokenizer }, options) => {
    const { ImageReward } = await import("./image_reward.ts");
    return await ImageReward.open(device, { weights: weights!, tokenizer: tokenizer! }, options);
  },
};

/** CLIP among the kinds of networks. */
export const CLIP: NetworkKind = {
  name: "clip",
  title: "CLIP",
  makes: ["verifier", "features"],
  files: [
    {
      role: "weights",
      names: [
        "model.safetensors",
        "open_clip_model.safetensors",
        "open_clip_pytorch_model.bin",
        "HPS_v2.1_compressed.pt",
      ],
    },
    // All have the same one, and it is not published with each.
    { role: "tokenizer", names: ["tokenizer.json"], place: "hf:openai/clip-vit-large-patch14" },
    { role: "config", names: ["config.json", "open_clip_config.json"], optional: true },
  ],
  place: "hf:openai/clip-vit-large-patch14",
  open: async (device, { weights, tokenizer, config }, options) => {
    const files = { weights: weights!, tokenizer: tokenizer!, ...config === undefined ? {} : { config } };
    const { Clip } = await import("./clip.ts");
    return await Clip.open(device, files, options);
  },
};

/** Aesthetic predictors among the kinds of networks. */
export const AESTHETIC: NetworkKind = {
  name: "aesthetic",
  title: "an aesthetic predictor",
  makes: ["verifier"],
  files: [
    { role: "head", names: ["aesthetic_predictor_v2_5.pth", "sac+logos+ava1-l14-linearMSE.pth"] },
    { role: "weights", names: ["model.safetensors"] },
    { role: "config", names: ["config.json"], optional: true },
  ],
  open: async (device, { weights, head, config }, options) => {
    const files = { weights: weights!, head: head!, ...config === undefined ? {} : { config } };
    const { Aesthetic } = await import("./aesthetic.ts");
    return await Aesthetic.open(device, files, options);
  },
};

/** DINOv2 among the kinds of networks. */
export const DINOV2: NetworkKind = {
  name: "dinov2",
  title: "DINOv2",
  makes: ["features"],
  files: [{
    role: "weights",
    names: [
      "model.safetensors",
      "dinov2_vitl14_reg4_pretrain.pth",
      "dinov2_vitb14_reg4_pretrain.pth",
      "dinov2_vits14_reg4_pretrain.pth",
      "dinov2_vitg14_reg4_pretrain.pth",
      "dinov2_vitl14_pretrain.pth",
      "dinov2_vitb14_pretrain.pth",
      "dinov2_vits14_pretrain.pth",
      "dinov2_vitg14_pretrain.pth",
    ],
  }],
  place: "hf:facebook/dinov2-with-registers-large",
  open: async (device, { weights }, options) => {
    const { Dinov2 } = await import("./dinov2.ts");
    return await Dinov2.open(device, weights!, options);
  },
};

/** Inception-v3 among the kinds of networks. */
export const INCEPTION: NetworkKind = {
  name: "inception",
  title: "Inception-v3",
  makes: ["features"],
  files: [{ role: "weights", names: ["inception_v3_google-0cc3c7bd.pth"] }],
  place: "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
  open: async (device, { weights }, options) => {
    const { Inception } = await import("./inception.ts");
    return await Inception.open(device, weights!, options);
  },
};

/** All kinds that are known. */
export const NETWORKS: readonly NetworkKind[] = [
  IMAGE_REWARD,
  CLIP,
  AESTHETIC,
  DINOV2,
  INCEPTION,
  ONNX,
];
