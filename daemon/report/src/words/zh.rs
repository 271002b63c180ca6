//! Simplified Chinese.

use models::findings::{ChestFinding, LobeName, LungPart, NoduleType, Side};

use super::reason::Reasons;
use super::{Document, Largest, Words};

#[derive(Debug)]
pub struct Chinese;

impl Words for Chinese {
    fn tag(&self) -> &'static str {
        "zh-CN"
    }

    fn document(&self) -> &'static Document {
        &DOCUMENT
    }

    fn reasons(&self) -> &'static Reasons {
        &REASONS
    }

    fn name(&self, finding: ChestFinding) -> &'static str {
        match finding {
            ChestFinding::Nodule => "肺结节",
            ChestFinding::Pneumonia => "肺炎",
            ChestFinding::RibFracture => "肋骨骨折",
            ChestFinding::Emphysema => "肺气肿",
            ChestFinding::Bronchiectasis => "支气管扩张",
            ChestFinding::PleuralEffusion => "胸腔积液",
            ChestFinding::Pneumothorax => "气胸",
            ChestFinding::CoronaryCalcification => "冠状动脉钙化",
            ChestFinding::LymphNode => "纵隔淋巴结肿大",
        }
    }

    fn side(&self, side: Side) -> &'static str {
        match side {
            Side::Right => "右侧",
            Side::Left => "左侧",
        }
    }

    fn part(&self, part: LungPart) -> &'static str {
        match part {
            LungPart::Both => "双肺",
            LungPart::Lung(Side::Right) => "右肺",
            LungPart::Lung(Side::Left) => "左肺",
            LungPart::Lobe(LobeName::RightUpper) => "右肺上叶",
            LungPart::Lobe(LobeName::RightMiddle) => "右肺中叶",
            LungPart::Lobe(LobeName::RightLower) => "右肺下叶",
            LungPart::Lobe(LobeName::LeftUpper) => "左肺上叶",
            LungPart::Lobe(LobeName::LeftLower) => "左肺下叶",
        }
    }

    fn nodule_type(&self, kind: NoduleType) -> &'static str {
        match kind {
            NoduleType::Solid => "实性",
            NoduleType::PartSolid => "部分实性",
            NoduleType::GroundGlass => "磨玻璃",
            NoduleType::Calcified => "钙化",
        }
    }

    fn grade(&self, grade: u8) -> &'static str {
        match grade {
            0 => "无",
            1 => "轻度",
            2 => "中度",
            _ => "重度",
        }
    }

    fn none_found(&self) -> &'static str {
        "未发现"
    }

    fn separator(&self) -> &'static str {
        "；"
    }

    fn comma(&self) -> &'static str {
        "，"
    }

    fn more(&self, count: usize) -> String {
        format!("另有 {count} 处")
    }

    fn repeated(&self, item: &str, count: usize) -> String {
        format!("{item}（{count} 处）")
    }

    fn rib(&self, side: Side, rib: Option<u8>) -> String {
        let side = self.side(side);
        rib.map_or_else(|| format!("{side}肋骨（序号未知）"), |rib| format!("{side}第 {rib} 肋"))
    }

    fn emphysema(&self, both: f64, right: Option<f64>, left: Option<f64>) -> String {
        let right = right.map(|v| format!("，右肺 {v:.1} %")).unwrap_or_default();
        let left = left.map(|v| format!("，左肺 {v:.1} %")).unwrap_or_default();
        format!("LAA-950 双肺 {both:.1} %{right}{left}（降噪后）")
    }

    fn volume_on_side(&self, side: Side, ml: f64) -> String {
        format!("{} {ml:.0} ml", self.side(side))
    }

    fn pneumothorax(&self, side: Side, ml: f64, percent: f64) -> String {
        format!("{} {ml:.0} ml，占同侧胸腔的 {percent:.1} %", self.side(side))
    }

    fn agatston(&self, score: f64) -> String {
        format!("Agatston 积分 {score:.0}")
    }

    fn calcium_estimate(&self, grade: u8, reason: &str) -> String {
        format!("{}（估计，{grade} 级，共 3 级；无法给出 Agatston 积分：{reason}）", self.grade(grade))
    }

    fn lymph_nodes(&self, count: usize, long_mm: f64, short_mm: f64) -> String {
        format!("{count} 枚，最大 {long_mm:.1} x {short_mm:.1} mm")
    }

    fn nodules(&self, count: usize, largest: &Largest) -> String {
        let Largest { diameter_mm, about, place } = largest;
        format!("{count} 枚，最大 {diameter_mm:.1} mm{about}，位于{place}")
    }

    fn pneumonia(&self, ground_glass: f64, consolidation: f64) -> String {
        format!("磨玻璃影占双肺 {ground_glass:.1} %，实变占双肺 {consolidation:.1} %")
    }

    fn opacities(&self, count: usize) -> String {
        format!("{count} 处病灶")
    }

    fn comparison(&self, date: &str, place: &str, [g0, g1]: [f64; 2], [c0, c1]: [f64; 2]) -> String {
        format!(
            "肺炎与 {date} 对比，{place}：磨玻璃影 {g0:.1} → {g1:.1} %（{:+.1}），实变 {c0:.1} → {c1:.1} %（{:+.1}）",
            g1 - g0,
            c1 - c0
        )
    }
}

const DOCUMENT: Document = Document {
    title: "胸部CT人工智能分析（草稿）",
    dicom_title: "Chest CT AI findings (draft), in Chinese",
    mark: "不得用于诊断 - 仅供研究与工程使用",
    head: "分析结果",
    comparison: "与既往检查对比",
    extents: ["肺炎累及部位", "体积", "磨玻璃影", "实变"],
    lungs: "肺",
    made: "生成信息",
    note: "自动生成的草稿，未经医师审核。坐标与轮廓见结构化报告和分割对象。",
    states: ["发现", "未发现", "未评估"],
    patient: ["姓名", "患者编号", "出生日期", "性别", "检查日期", "检查号", "检查描述"],
};

const REASONS: Reasons = Reasons {
    not_in_package: "模型包 {} 不包含此项",
    too_young: "患者年龄 {} 岁，模型包要求不小于 {} 岁",
    body_part: "检查部位为 {}，模型包适用于 {}",
    spacing_too_large: "层间距 {} mm，模型包要求不大于 {} mm",
    spacing_too_small: "层间距 {} mm，模型包要求不小于 {} mm",
    noise: "噪声 {} HU，模型包要求不大于 {} HU",
    contrast_given: "使用了对比剂，模型包要求平扫序列",
    contrast_missing: "未使用对比剂，模型包要求增强序列",
    contrast_unknown: "图像信息未说明是否使用对比剂，模型包要求明确",
    kernel_unnamed: "图像信息未注明重建核，模型包要求软组织核",
    kernel_sharp: "重建核 {} 为锐利核，模型包要求软组织核",
    no_lungs: "未找到肺",
    no_volume: "{} 层图像不足以构成容积数据",
    no_air: "体内未见含气区域",
    implausible_air: "体内含气体积 {} ml，不符合肺容积",
    no_lung_in_scan: "扫描范围内未见肺（体内最大含气区域为 {} ml）",
    lungs_at_edge: "肺超出图像边缘",
    scan_ends_above: "扫描上端未包全肺",
    scan_ends_below: "扫描下端未包全肺",
    agatston_contrast: "使用了对比剂",
    agatston_contrast_unknown: "不明确是否使用对比剂",
    agatston_not_gated: "无心电门控",
    agatston_gating_unknown: "不明确是否使用心电门控",
    agatston_voltage: "管电压 {} kV（应为 120 kV）",
    agatston_voltage_unknown: "管电压未知",
    agatston_spacing: "层间距 {} mm（应为 2.5 至 3 mm）",
    agatston_kernel: "锐利重建核 {}",
    agatston_kernel_unknown: "重建核未知",
};
