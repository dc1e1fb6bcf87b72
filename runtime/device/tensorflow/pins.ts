/** The packages that `build-node.ts` takes, by version and hash. */

interface Wheel {
  readonly name: string
  readonly version: string
  readonly megabytes: number
  readonly sha256: string
}

const wheel = (name: string, version: string, megabytes: number, sha256: string): Wheel => ({
  name,
  version,
  megabytes,
  sha256
})

/** TensorFlow as Python packages it, by device, platform and processor; for the GPU with the CUDA that it asks for. */
export const wheels: Readonly<Record<string, ReadonlyArray<Wheel>>> = {
  "node linux x64": [
    wheel("tensorflow-cpu", "2.20.0", 259, "c7a9224185818094ed95c4e114d3efe77241db35fbf0b75251fb2bf6222dd6a7")
  ],
  "node linux arm64": [
    wheel("tensorflow", "2.20.0", 260, "2bfbfb3dd0e22bffc45fe1e922390d27753e99261fab8a882e802cf98a0e078f")
  ],
  "node-gpu linux x64": [
    wheel("tensorflow", "2.20.0", 621, "25265b0bc527e0d54b1e9cc60c44a24f44a809fe27666b905f0466471f9c52ec"),
    wheel("nvidia-cublas-cu12", "12.9.3.13", 581, "d7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72"),
    wheel("nvidia-cuda-cupti-cu12", "12.8.90", 10, "ea0cb07ebda26bb9b29ba82cda34849e73c166c18162d3913575b0c9db9a6182"),
    wheel("nvidia-cuda-nvcc-cu12", "12.9.86", 41, "5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0"),
    wheel("nvidia-cuda-nvrtc-cu12", "12.9.86", 90, "210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4"),
    wheel("nvidia-cuda-runtime-cu12", "12.9.79", 3, "25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3"),
    wheel("nvidia-cudnn-cu12", "9.28.0.42", 717, "9ff58b7f36dacd0a93e89f8f2957b52466889217963701daa15e577317cfa375"),
    wheel("nvidia-cufft-cu12", "11.4.1.4", 201, "c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28"),
    wheel("nvidia-curand-cu12", "10.3.10.19", 68, "49b274db4780d421bd2ccd362e1415c13887c53c214f0d4b761752b8f9f6aa1e"),
    wheel("nvidia-cusolver-cu12", "11.7.5.82", 338, "15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88"),
    wheel(
      "nvidia-cusparse-cu12",
      "12.5.10.65",
      366,
      "73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78"
    ),
    wheel("nvidia-nccl-cu12", "2.32.3", 352, "bb94b2348e4861d5e8aa00b36c3d12d9bdf9c6369b82cbb723de0b582280a21c"),
    wheel("nvidia-nvjitlink-cu12", "12.9.86", 40, "e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9")
  ]
}

/** Packages from npm. */
export const npmPackages: Readonly<Record<string, { readonly version: string; readonly integrity: string }>> = {
  "@tensorflow/tfjs-node": {
    version: "4.22.0",
    integrity: "sha512-uHrXeUlfgkMxTZqHkESSV7zSdKdV0LlsBeblqkuKU9nnfxB1pC6DtoyYVaLxznzZy7WQSegjcohxxCjAf6Dc7w=="
  },
  "@tensorflow/tfjs-node-gpu": {
    version: "4.22.0",
    integrity: "sha512-p//NN6DGiN4hInUmIkRffaFVMcdTREUMjPyjW04J7OXvB2zBlQimj61eFKSgRrH3f5TnOfKzb0n56he/B6a4bw=="
  },
  "google-protobuf": {
    version: "3.21.4",
    integrity: "sha512-MnG7N936zcKTco4Jd2PX2U96Kf9PxygAPKBug+74LHzmHXmceN16MmRcdgZv+DGef/S9YvQAfRsNCn4cjf9yyQ=="
  },
  progress: {
    version: "2.0.3",
    integrity: "sha512-7PiHtLll5LdnKIMw100I+8xJXR5gW2QwWYkT6iJva0bXitZKa/XMrSbdmg3r2Xnaidz9Qumd0VPaMrZlF9V9sA=="
  },
  "node-api-headers": {
    version: "1.9.0",
    integrity: "sha512-2oNILP4jXwRB4ywnYKjVk1YyJ96n2D4EOVJO6S3oYZ5PtbJrw3Yt9TpAuX3nBLMuzn74rnfGQrv13pS9vC+YiA=="
  }
}
