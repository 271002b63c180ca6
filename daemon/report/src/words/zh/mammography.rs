//! Simplified Chinese about mammograms.

use models::findings::Side;
use models::number::Number;
use models::task::mammography_views::{Section, StandardView};
use models::task::mg_breast::{NotRead, Remark, Unreadable, side};

use super::Chinese;
use crate::words::Words;
use crate::words::mammography::{Fixed, Mammograms};

impl Mammograms for Chinese {
    fn mammograms(&self) -> &'static Fixed {
        &FIXED
    }

    fn mammogram(&self, side: Option<Side>, view: Option<&str>) -> String {
        let side = match side {
            Some(Side::Right) => "右乳",
            Some(Side::Left) => "左乳",
            None => "侧别不明的乳腺",
        };
        view.map_or_else(|| format!("{side}（投照位不明）"), |view| format!("{side}{view}位"))
    }

    fn a_part(&self, name: &str, sections: &str) -> String {
        if sections.is_empty() { format!("{name}的局部") } else { format!("{name}的局部（{sections}）") }
    }

    fn section(&self, section: Section) -> &'static str {
        match section {
            Section::Anterior => "前部",
            Section::Central => "中央",
            Section::Inferior => "下部",
            Section::Lateral => "外侧",
            Section::Medial => "内侧",
            Section::Posterior => "后部",
            Section::Superior => "上部",
        }
    }

    fn views_there(&self, found: usize, missing: &[StandardView]) -> String {
        let names: Vec<&str> = missing.iter().map(|view| self.standard_view(*view)).collect();
        let named = if names.is_empty() { String::new() } else { format!("，缺少{}", names.join("、")) };
        format!("{} 个标准投照位中有 {found} 个{named}", StandardView::ALL.len())
    }

    fn only_in_parts(&self, view: StandardView, images: usize, sections: &str) -> String {
        let sections = if sections.is_empty() { String::new() } else { format!("：{sections}") };
        format!("{}仅有局部图像（{images} 幅{sections}）", self.standard_view(view))
    }

    fn parts_beside(&self, view: StandardView, images: usize) -> String {
        format!("{}除完整图像外另有 {images} 幅局部图像", self.standard_view(view))
    }

    fn last_is_taken(&self, view: StandardView, images: usize) -> String {
        format!("{}有 {images} 幅图像，采用最后一幅", self.standard_view(view))
    }

    fn only_raw(&self, view: StandardView) -> String {
        format!("{}仅有供后处理的图像", self.standard_view(view))
    }

    fn chest_wall(&self, at: side::Side) -> String {
        let at = match at {
            side::Side::Left => "左侧",
            side::Side::Right => "右侧",
            side::Side::Top => "上方",
            side::Side::Bottom => "下方",
        };
        format!("胸壁位于图像{at}")
    }

    fn nipple_depth(&self, mm: f64) -> String {
        format!("乳头（估算）距胸壁 {:.0} mm", Number(mm))
    }

    fn dense(&self, percent: f64, letter: char, bare: bool) -> String {
        let caution = if bare { "" } else { "，未经验证" };
        format!("致密部分占 {:.0} %（据此估算为 {letter} 类{caution}）", Number(percent))
    }

    fn no_density(&self, why: &str) -> String {
        format!("未测量密度：{why}")
    }

    fn mammogram_remark(&self, remark: Remark) -> &'static str {
        match remark {
            Remark::ForProcessing => "仅供后处理的图像，经自身换算后读取",
            Remark::Film => "数字化胶片或IP板图像",
            Remark::Implant => "文件头说明有乳房假体",
            Remark::Partial => "文件头说明仅显示该投照位的局部",
            Remark::NoSpacing => "文件头中没有像素大小，不给出长度",
            Remark::Unnamed => "文件头未说明侧别或投照位",
            Remark::OtherSide => "乳腺所在一侧与文件头不符：图像左右颠倒或标注错误",
            Remark::NoMuscle => "未见胸大肌",
        }
    }

    fn mammogram_not_read(&self, why: &NotRead) -> &'static str {
        match why {
            NotRead::Additional => "附加投照位，如放大或点压摄影",
            NotRead::OtherKind => "活检图像，或由多次对比剂曝光计算得出的图像",
            NotRead::Processed => "仅供后处理；已读取供显示的图像",
            NotRead::TooLarge => "解码所需内存超过上限",
            NotRead::NotGrey => "图像没有灰阶",
            NotRead::Pixels(_) => "像素无法解码",
            NotRead::Picture(Unreadable::TooSmall) => "图像过小",
            NotRead::Picture(Unreadable::Blank) => "图像空白",
            NotRead::Picture(Unreadable::NoBreast) => "图像中未找到乳腺",
            NotRead::Picture(Unreadable::Inverted) => "图像疑为负片",
        }
    }

    fn unread(&self, name: &str, why: &str) -> String {
        format!("{name}未读取：{why}")
    }

    fn mammography_before(&self, date: &str) -> String {
        format!("本机存有 {date} 的乳腺X线摄影。软件未对比图像，也未对比密度，因为密度随图像处理方式而变。")
    }

    fn decided(&self, accepted: usize, edited: usize, rejected: usize) -> String {
        let edited = if edited > 0 { format!("修改 {edited} 处，") } else { String::new() };
        format!("接受 {accepted} 处，{edited}否定 {rejected} 处")
    }

    fn review_not_applied(&self, by: &str, why: &str) -> String {
        format!("{by} 的审阅未被采用：{why}")
    }
}

const FIXED: Fixed = Fixed {
    title: "乳腺X线摄影 AI 读取结果（草稿）",
    dicom_title: "Mammography AI reading (draft), in Chinese",
    pictures: "图像",
    composition: "乳腺构成",
    legend: "蓝色：乳腺轮廓。绿色：胸大肌边缘。粉色：乳头（估算）。琥珀色：标记及其编号。已知像素大小时，各投照位比例相同。",
    missing: "缺少",
    in_parts: "仅有局部图像",
    not_read: "图像未读取",
    muscle: "可见胸大肌",
    outline: "可见轮廓",
    caution: "百分比和类别由图像灰度估算，未经验证，不是医师对乳腺构成的评估。",
    no_standard_view: "没有读取到完整标准投照位的图像",
    too_little: "除胸大肌和皮肤外，图像中的乳腺过少",
    marks_off: "可疑处未评估：网络仅用体模训练，已关闭。",
    not_evaluated: "病灶未评估。",
    none_known: "没有标记能确定为本机既往检查中已知的病灶。",
    no_prior: "本机没有此人更早的乳腺X线摄影。",
    prior_unknown: "未查询是否有更早的乳腺X线摄影，或不能确定其属于该患者。",
    incomplete: "标准投照位不齐全。",
    no_category: "不给出建议分类：没有已发表的规则适用于此处的测量结果，也没有人评估过这些图像。",
    note: "除图像文件头所述内容外，本文件内容均由软件测量得出。坐标见结构化报告。",
};
