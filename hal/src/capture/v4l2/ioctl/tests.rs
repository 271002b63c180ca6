//! Our structures and numbers against those of the kernel's header, as a C compiler gives them on x86-64.

use std::mem::offset_of;

use super::*;

/// `sizeof` of x86-64 and aarch64 kernels.
#[test]
fn structures_are_as_large_as_the_kernels() {
    let ours = [
        size_of::<Capability>(),
        size_of::<FormatName>(),
        size_of::<Picture>(),
        size_of::<PlaneFormat>(),
        size_of::<PictureMulti>(),
        size_of::<Format>(),
        size_of::<FormatMulti>(),
        size_of::<RequestBuffers>(),
        size_of::<Buffer>(),
        size_of::<Plane>(),
        size_of::<ExportBuffer>(),
        size_of::<Parameters>(),
        size_of::<Input>(),
        size_of::<DvTimings>(),
        size_of::<Event>(),
        size_of::<Subscription>(),
        size_of::<Edid>(),
        size_of::<FrameSize>(),
        size_of::<FrameInterval>(),
    ];
    assert_eq!(ours, [104, 64, 48, 20, 192, 208, 208, 20, 88, 64, 64, 204, 80, 132, 136, 32, 40, 44, 52]);
}

#[test]
fn fields_are_where_the_kernel_has_them() {
    assert_eq!((offset_of!(Format, picture), offset_of!(FormatMulti, picture)), (8, 8));
    assert_eq!((offset_of!(Picture, colorspace), offset_of!(Picture, quantization)), (24, 40));
    let multi =
        (offset_of!(PictureMulti, planes), offset_of!(PictureMulti, count), offset_of!(PictureMulti, quantization));
    assert_eq!(multi, (20, 180, 183));
    let buffer = (offset_of!(Buffer, flags), offset_of!(Buffer, seconds), offset_of!(Buffer, sequence));
    assert_eq!(buffer, (12, 24, 56));
    let buffer = (offset_of!(Buffer, memory), offset_of!(Buffer, place), offset_of!(Buffer, length));
    assert_eq!(buffer, (60, 64, 72));
    assert_eq!((offset_of!(Plane, place), offset_of!(Plane, data_offset)), (8, 16));
    assert_eq!((offset_of!(ExportBuffer, fd), offset_of!(Parameters, seconds)), (16, 12));
    let input = (offset_of!(Input, standards), offset_of!(Input, status), offset_of!(Input, capabilities));
    assert_eq!(input, (48, 56, 60));
    let timings = (offset_of!(DvTimings, clock), offset_of!(DvTimings, horizontal), offset_of!(DvTimings, flags));
    assert_eq!(timings, (4 + 16, 4 + 24, 4 + 64));
    assert_eq!((offset_of!(Event, data), offset_of!(Event, pending), offset_of!(Event, id)), (8, 72, 96));
    assert_eq!(offset_of!(Edid, place), 32);
    assert_eq!((offset_of!(FrameSize, values), offset_of!(FrameInterval, values)), (12, 20));
}

#[test]
fn calls_have_the_kernels_numbers() {
    let ours = [
        QUERYCAP,
        ENUM_FMT,
        G_FMT,
        S_FMT,
        REQBUFS,
        QUERYBUF,
        QBUF,
        EXPBUF,
        DQBUF,
        STREAMON,
        STREAMOFF,
        S_PARM,
        ENUMINPUT,
        G_INPUT,
        G_EDID,
        TRY_FMT,
        ENUM_FRAMESIZES,
        ENUM_FRAMEINTERVALS,
        S_DV_TIMINGS,
        DQEVENT,
        SUBSCRIBE_EVENT,
        QUERY_DV_TIMINGS,
    ];
    let kernels: [Opcode; 22] = [
        0x8068_5600,
        0xc040_5602,
        0xc0d0_5604,
        0xc0d0_5605,
        0xc014_5608,
        0xc058_5609,
        0xc058_560f,
        0xc040_5610,
        0xc058_5611,
        0x4004_5612,
        0x4004_5613,
        0xc0cc_5616,
        0xc050_561a,
        0x8004_5626,
        0xc028_5628,
        0xc0d0_5640,
        0xc02c_564a,
        0xc034_564b,
        0xc084_5657,
        0x8088_5659,
        0x4020_565a,
        0x8084_5663,
    ];
    assert_eq!(ours, kernels);
}

#[test]
fn what_is_no_video_device_says_so() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let node = Node::open(file.path()).unwrap();
    assert_eq!(node.capability().unwrap_err(), Errno::NOTTY);
    assert_eq!(Node::open(Path::new("nowhere")).unwrap_err(), Errno::NOENT);
}
