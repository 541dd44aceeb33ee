//! One image: what its header says, and its pixels.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{
    ColorType, DynamicImage, ImageDecoder, ImageError, ImageReader, ImageResult, Limits, Rgba,
};

use crate::data::decoding::decoded;
use crate::{Error, Result};

/// Pixels of an image at most, before it is resized: half a gigabyte in the widest format.
const MAX_PIXELS: u64 = 1 << 26;

/// What a JPEG begins with: its first mark, and the first byte of the next.
const JPEG: &[u8] = b"\xff\xd8\xff";

/// What a header says of an image as it is to be looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Whether it has colours; a grey image stored as such hasn't.
    pub(super) colour: bool,
}

impl Head {
    pub(super) fn size(&self) -> String {
        format!("{} × {}", self.width, self.height)
    }
}

/// Reads a header; larger images than [`MAX_PIXELS`] are refused by it.
pub(super) fn head(path: &Path) -> Result<Head> {
    guarded(path, || {
        let mut decoder = decoder(BufReader::new(File::open(path)?))?;
        let (width, height) = decoder.dimensions();
        let (width, height) = match decoder.orientation()? {
            Orientation::NoTransforms
            | Orientation::Rotate180
            | Orientation::FlipHorizontal
            | Orientation::FlipVertical => (width, height),
            _ => (height, width),
        };
        let colour = decoder.color_type().has_color();
        Ok(Head { width, height, colour })
    })
    .and_then(|head| {
        let pixels = u64::from(head.width) * u64::from(head.height);
        match pixels {
            0 => Err(problem_with(path, "the image has no pixels; move it away".into())),
            1..=MAX_PIXELS => Ok(head),
            _ => Err(problem_with(
                path,
                format!(
                    "the image claims {} pixels, {pixels} in all, but at most {MAX_PIXELS} are read; make \
                     it smaller",
                    head.size()
                ),
            )),
        }
    })
}

/// The pixels of an image row by row, each a number or three: turned as a camera noted, resized where it has
/// another size, and, where it is transparent, before white.
pub(super) fn decode(path: &Path, width: u32, height: u32, colour: bool) -> Result<Vec<u8>> {
    // Decoders of JPEG go on in grey where a file ends too early.
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    if bytes.starts_with(JPEG) && !is_whole(&bytes) {
        return Err(problem_with(path, "the image is cut short; copy or save it again".into()));
    }
    guarded(path, || {
        let mut decoder = decoder(Cursor::new(&bytes))?;
        let orientation = decoder.orientation()?;
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        if image.color().has_alpha() {
            image = before_white(&image);
        }
        if (image.width(), image.height()) != (width, height) {
            // Lanczos' window of three lobes, as wide as the pixels that become one.
            image = image.resize_exact(width, height, FilterType::Lanczos3);
        }
        Ok(match colour {
            true => image.into_rgb8().into_raw(),
            false => image.into_luma8().into_raw(),
        })
    })
}

/// Whether a JPEG's data go on to its end: segments of a told length, then, where the first scan begins, data
/// in which the mark of the end can't stand for anything else.
fn is_whole(jpeg: &[u8]) -> bool {
    const SCAN: u8 = 0xda;
    const END: &[u8] = b"\xff\xd9";
    let mut at = JPEG.len() - 1;
    while let Some(&[0xff, marker, high, low]) = jpeg.get(at..).and_then(|rest| rest.first_chunk())
    {
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
        if marker == SCAN {
            return jpeg.get(at..).is_some_and(|data| data.windows(2).any(|pair| pair == END));
        }
    }
    // Of another make; the decoder decides.
    true
}

fn decoder<'a>(reader: impl BufRead + Seek + 'a) -> ImageResult<impl ImageDecoder + 'a> {
    let mut reader = ImageReader::new(reader).with_guessed_format()?;
    let mut limits = Limits::default();
    // The widest pixels have eight bytes; a decoder's own buffers are counted too.
    limits.max_alloc = Some(16 * MAX_PIXELS);
    reader.limits(limits);
    reader.into_decoder()
}

/// What is seen of a transparent image on white paper: α·c + (1 − α)·white.
fn before_white(image: &DynamicImage) -> DynamicImage {
    let grey = matches!(image.color(), ColorType::La8 | ColorType::La16);
    let mut image = image.to_rgba8();
    for Rgba([red, green, blue, alpha]) in image.pixels_mut() {
        for channel in [red, green, blue] {
            let (alpha, value) = (u32::from(*alpha), u32::from(*channel));
            let seen = (alpha * value + (255 - alpha) * 255 + 127) / 255;
            *channel = u8::try_from(seen).unwrap_or(u8::MAX);
        }
        *alpha = u8::MAX;
    }
    let image = DynamicImage::ImageRgba8(image);
    if grey { image.into_luma8().into() } else { image.into_rgb8().into() }
}

/// What a decoder gives, where it neither fails nor panics.
fn guarded<T>(path: &Path, decode: impl FnOnce() -> ImageResult<T>) -> Result<T> {
    let problem = match decoded(decode) {
        Some(Ok(decoded)) => return Ok(decoded),
        Some(Err(ImageError::IoError(error))) if error.raw_os_error().is_some() => {
            return Err(Error::io(path)(error));
        }
        // Some have line ends.
        Some(Err(error)) => error.to_string().split_whitespace().collect::<Vec<_>>().join(" "),
        None => "its parts contradict each other".into(),
    };
    Err(problem_with(
        path,
        format!(
            "the image is damaged, or no PNG or JPEG ({problem}); copy or save it again, or move it away"
        ),
    ))
}

fn problem_with(path: &Path, problem: String) -> Error {
    Error::Data { source_name: path.display().to_string(), problem }
}
