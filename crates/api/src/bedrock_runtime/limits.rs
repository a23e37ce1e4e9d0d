//! Caps of Converse's requests and answers, and of native bodies.

/// AWS: images of one message (API reference, `Message`).
pub(super) const IMAGES: usize = 20;
/// AWS: 3.75 MB (API reference, `Message`), which is 5 MiB as base64.
pub(super) const IMAGE_BYTES: usize = 3_932_160;
/// AWS: what an image may have as base64 in the body of a Claude, which is the same
/// (aws-solutions-library-samples/accelerated-intelligent-document-processing-on-aws issue 778).
pub(super) const ENCODED_IMAGE_BYTES: usize = 5_242_880;
/// Images of one request in the body of a Claude: what models with the larger windows take, others take
/// 100 (Anthropic's documentation, "Vision"; AWS adds no limit of its own: user guide, "API restrictions").
pub(super) const CLAUDE_IMAGES: usize = 600;
/// Beyond so many images each may have fewer pixels (Anthropic's documentation, "Vision").
pub(super) const MANY_IMAGES: usize = 20;
pub(super) const MANY_IMAGE_PIXELS: usize = 2_000;
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
pub(super) const PASSED: usize = 4;
pub(super) const REASON_CHARS: usize = 120;
