//! Caps of Converse's requests and answers.

/// AWS: images of one message (API reference, `Message`).
pub(super) const IMAGES: usize = 20;
/// AWS: 3.75 MB (API reference, `Message`), which is 5 MiB as base64.
pub(super) const IMAGE_BYTES: usize = 3_932_160;
/// AWS: width and height of an image (API reference, `Message`).
pub(super) const IMAGE_PIXELS: usize = 8_000;
/// AWS: documents of one request (API reference, `Message`; the refusal as quoted in
/// aws-samples/generative-ai-use-cases issue 1685).
pub(super) const DOCUMENTS: usize = 5;
/// AWS: 4.5 MB (API reference, `Message`).
pub(super) const DOCUMENT_BYTES: usize = 4_718_592;
/// AWS: videos and audio of more do not come with the request (user guide, "Amazon Nova multimodal
/// understanding"). Here a bucket makes no difference: providers get the bytes.
pub(super) const RECORDING_BYTES: usize = 25_000_000;
/// What one request may have fetched from buckets: a request of a few kilobytes can name thousands
/// of objects, and all of them go to the provider in one body. Twenty images of the largest size.
pub(super) const FETCHED_BYTES: usize = IMAGES * IMAGE_BYTES;
/// Models that did not answer, as a header tells them, and the characters of each reason: many
/// servers between here and the client take headers of 8 KB in all.
pub(super) const PASSED: usize = 8;
pub(super) const REASON_CHARS: usize = 300;
