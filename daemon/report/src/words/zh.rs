//! Simplified Chinese.

use dicom::pixels::error::DecodeError;
use models::findings::{ChestFinding, Form, LeastSize, LobeName, LungPart, NoduleType, Side};
use models::growth::{Course, Difference, Missing, NoduleChange};
use models::number::Number;
use models::refusal::{Fact, Gap, LISTED, Place, Quantity, Shift, SlicePlane};
use models::remark::{Beyond, Lying, Remark, Sharer, SliceFault};
use models::review::NotApplied;
use models::review::edit::Field;
use models::task::ct_quality::{Cover, Kernel, Noise, Slices};
use models::task::mammography_views::StandardView;
use models::task::mg_breast::kind::{Kind, Stage};
use models::task::mg_breast::marks::Mark;
use models::task::mg_breast::withheld::Withheld;
use models::task::us_breast::assessment::{Category as Suggestion, Withheld as NoCategory};
use models::task::us_breast::scan::coverage::State as Covered;
use models::task::us_breast::scan::probe::{Ring, Spot};
use models::task::us_breast::terms::{Echo, Margin, Orientation, Posterior, Shape, Term, Trait};
use models::{Reason, Refusal, Topic};

use super::breast::{self, Breast};
use super::edits::Edits;
use super::{Denoised, Document, Largest, Page, Technique, Words};
use crate::impression::{Advice, Category, Follow};
use crate::refused::Mixed;
use crate::stills::{self, NoSize, NotRead};

mod mammography;

#[derive(Debug)]
pub struct Chinese;

impl Words for Chinese {
    fn tag(&self) -> &'static str {
        "zh-CN"
    }

    fn document(&self) -> &'static Document {
        &DOCUMENT
    }

    fn name(&self, finding: ChestFinding) -> &'static str {
        match finding {
            ChestFinding::Nodule => "肺结节或肿块",
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

    fn estimated(&self) -> &'static str {
        "（估算）"
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

    fn form(&self, form: Form) -> &'static str {
        match form {
            Form::Nodule => "结节",
            Form::Mass => "肿块",
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

    fn titled(&self, heading: &str, text: &str) -> String {
        format!("{heading}：{text}")
    }

    fn not_printable(&self, count: usize) -> String {
        format!("有{count}个字符无法打印")
    }

    fn guessed_character_set(&self, name: &str) -> String {
        format!("字符集为推测：{name}")
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

    fn emphysema(&self, both: f64, right: Option<f64>, left: Option<f64>, noise: Denoised) -> String {
        let how = match noise {
            Denoised::Yes => "降噪后",
            Denoised::No => "未降噪",
            Denoised::Unknown => "噪声未测量",
        };
        if let Some((side, percent)) = super::only_lung(right, left) {
            let lung = self.part(LungPart::Lung(side));
            return format!("LAA-950 {lung} {percent:.1} %（{how}）", percent = Number::from(percent));
        }
        let right = right.map(|v| format!("，右肺 {v:.1} %", v = Number::from(v))).unwrap_or_default();
        let left = left.map(|v| format!("，左肺 {v:.1} %", v = Number::from(v))).unwrap_or_default();
        format!("LAA-950 双肺 {both:.1} %{right}{left}（{how}）", both = Number::from(both))
    }

    fn volume_on_side(&self, side: Side, ml: f64) -> String {
        format!("{} {ml:.0} ml", self.side(side), ml = Number::from(ml))
    }

    fn pneumothorax(&self, side: Side, ml: f64, percent: f64) -> String {
        format!(
            "{} {ml:.0} ml，占同侧胸腔的 {percent:.1} %",
            self.side(side),
            ml = Number::from(ml),
            percent = Number::from(percent)
        )
    }

    fn agatston(&self, score: f64) -> String {
        format!("Agatston 积分 {score:.0}", score = Number::from(score))
    }

    fn calcium_estimate(&self, grade: u8, reason: &str) -> String {
        format!("{}（估计，{grade} 级，共 3 级；无法给出 Agatston 积分：{reason}）", self.grade(grade))
    }

    fn lymph_nodes(&self, count: usize, long_mm: f64, short_mm: f64) -> String {
        format!(
            "{count} 枚，最大 {long_mm:.1} x {short_mm:.1} mm",
            long_mm = Number::from(long_mm),
            short_mm = Number::from(short_mm)
        )
    }

    fn nodules(&self, count: usize, largest: &Largest<'_>) -> String {
        let Largest { diameter_mm, about, place } = largest;
        format!(
            "结节 {count} 枚，最大 {diameter_mm:.1} mm{about}，位于{place}",
            diameter_mm = Number::from(diameter_mm)
        )
    }

    fn masses(&self, count: usize, largest: &Largest<'_>) -> String {
        let Largest { diameter_mm, about, place } = largest;
        format!(
            "肿块 {count} 个，最大长径 {diameter_mm:.1} mm{about}，位于{place}",
            diameter_mm = Number::from(diameter_mm)
        )
    }

    fn pneumonia(&self, place: &str, ground_glass: f64, consolidation: f64) -> String {
        format!(
            "磨玻璃影占{place} {ground_glass:.1} %，实变占{place} {consolidation:.1} %",
            ground_glass = Number::from(ground_glass),
            consolidation = Number::from(consolidation)
        )
    }

    fn opacities(&self, count: usize) -> String {
        format!("{count} 处病灶")
    }

    fn technique(&self, Technique { slices, spacing_mm, acquisition: a }: &Technique<'_>) -> String {
        let thick = a.slice_thickness_mm.map(|mm| format!("，层厚 {:.2} mm", Number(mm)));
        let kernel = a.kernel.as_ref().map(|kernel| format!("，重建核 {kernel}"));
        let voltage = a.kvp.map(|kv| format!("，管电压 {:.0} kV", Number(kv)));
        let contrast = match a.contrast {
            Some(true) => "，使用对比剂",
            Some(false) => "，平扫（未使用对比剂）",
            None => "，未注明是否使用对比剂",
        };
        let gated = if a.cardiac_gated == Some(true) { "，心电门控" } else { "" };
        let names = [a.manufacturer.as_deref(), a.scanner.as_deref()];
        let scanner: Vec<&str> = names.into_iter().flatten().collect();
        let scanner = if scanner.is_empty() { String::new() } else { format!("；设备 {}", scanner.join(" ")) };
        let parts = [thick, kernel, voltage].into_iter().flatten().collect::<String>();
        format!("CT，共 {slices} 层，层间距 {:.2} mm{parts}{contrast}{gated}{scanner}", Number::from(spacing_mm))
    }

    fn advice(&self, advice: &Advice) -> String {
        match advice {
            Advice::Fleischner { follow, measured_mm } => {
                let follow = match follow {
                    Follow::No => "无需常规随访",
                    Follow::OptionalAtOneYear => "低危者无需常规随访；高危者可选择 12 个月时复查 CT",
                    Follow::GroundGlass => "6 至 12 个月复查 CT 确认是否持续存在，此后每 2 年复查至满 5 年",
                    Follow::SixToTwelveMonths => "6 至 12 个月复查 CT，18 至 24 个月再次复查（低危者可考虑第二次复查）",
                    Follow::SeveralSmallSubsolid => "3 至 6 个月复查 CT；如稳定，可考虑第 2 年和第 4 年复查",
                    Follow::SeveralSolid => "3 至 6 个月复查 CT，18 至 24 个月再次复查（低危者可考虑第二次复查）",
                    Follow::SeveralSubsolid => "3 至 6 个月复查 CT，此后按最可疑的结节处理",
                    Follow::PartSolid => {
                        "3 至 6 个月复查 CT 确认是否持续存在；如无变化且实性成分小于 6 mm，每年复查 CT，共 5 年"
                    }
                    Follow::ThreeMonths => "可考虑 3 个月复查 CT、PET/CT 或组织活检",
                    Follow::PartSmall => "扫描未包括整个胸部；小于 6 mm 者无需进一步检查",
                    Follow::PartMiddle => "扫描未包括整个胸部；根据风险于 3 至 12 个月后行完整胸部 CT",
                    Follow::PartLarge => "扫描未包括整个胸部；应立即行完整胸部 CT",
                };
                let thick = measured_mm
                    .map(|mm| format!("本次在 {:.1} mm 层面上测量，指南要求层厚不大于 1.5 mm。", Number(mm)))
                    .unwrap_or_default();
                format!(
                    "Fleischner 学会 2017 指南（适用于 35 岁及以上、无已知肿瘤、无免疫抑制者偶然发现的结节）：{follow}。{thick}"
                )
            }
            Advice::LungRads { category, from_mm } => {
                let next = match category {
                    Category::Zero => "部分肺未显示，需行包括双肺全部的低剂量 CT",
                    Category::One | Category::Two => "12 个月后低剂量 CT 复查",
                    Category::Three => "6 个月后低剂量 CT 复查",
                    Category::FourA => "3 个月后低剂量 CT 复查；实性结节或实性成分达 8 mm 者可考虑 PET/CT",
                    Category::FourB => "转诊进一步临床评估：增强或平扫 CT、PET/CT 或组织活检",
                };
                let small = from_mm
                    .map(|mm| format!("本次层面未评估小于 {:.0} mm 的结节，该分类不包括它们。", Number(mm)))
                    .unwrap_or_default();
                format!("Lung-RADS v2022（用于筛查，按首次检查的大小）：{} 类，{next}。{small}", category.name())
            }
            Advice::CacDrs { class, by_score } => {
                let risk = match class {
                    0 => "极低",
                    1 => "轻度升高",
                    2 => "中度升高",
                    _ => "中度至重度升高",
                };
                let (letter, how) = if *by_score { ('A', "") } else { ('V', "（估计）") };
                format!("CAC-DRS 2018：{letter}{class}{how}，冠状动脉事件风险{risk}。")
            }
        }
    }

    fn nothing_found(&self) -> &'static str {
        "在可评估的项目中未见异常发现。"
    }

    fn no_prior(&self) -> &'static str {
        "本机未分析过该患者既往的胸部 CT。"
    }

    fn not_compared(&self, date: &str, missing: Missing) -> String {
        let why = match missing {
            Missing::Now => "本次检查没有可用于对比的肺炎或完整肺内结节的结果",
            Missing::Then => "其结果缺少对比所需的内容",
            Missing::Days => "检查日期无法确定两次检查的间隔天数",
        };
        format!("已知 {date} 的既往检查，未作对比：{why}")
    }

    fn nodule_change(&self, change: &NoduleChange, place: &str) -> String {
        let NoduleChange { number, volume_mm3: [then, now], course, doubling_days, .. } = change;
        let course = match course {
            Course::Grown => "增大",
            Course::Smaller => "缩小",
            Course::Unchanged => "在测量误差范围内无变化",
        };
        let doubling = doubling_days.map(|days| format!("，体积倍增时间 {:.0} 天", Number(days))).unwrap_or_default();
        format!(
            "结节 {number}（{place}）{:.0} → {:.0} mm3（{:+.0} %），{course}{doubling}",
            Number::from(then),
            Number::from(now),
            Number(100.0 * (now / then - 1.0))
        )
    }

    fn nodules_compared(&self, date: &str) -> String {
        format!("结节与 {date} 对比")
    }

    fn unmatched(&self, [then, now]: [usize; 2]) -> String {
        match [then, now] {
            [then, 0] => format!("既往 {then} 枚结节本次无明确对应"),
            [0, now] => format!("本次 {now} 枚结节既往无明确对应"),
            [then, now] => format!("本次 {now} 枚结节既往无明确对应，既往 {then} 枚结节本次无明确对应"),
        }
    }

    fn differences(&self, all: &[Difference]) -> String {
        let one = |difference: &Difference| match difference {
            Difference::Scanner => "设备".to_owned(),
            Difference::Kernel([then, now]) => format!("重建核（{then}、{now}）"),
            Difference::Thickness([then, now]) => {
                format!("层厚（{:.1}、{:.1} mm）", Number::from(then), Number::from(now))
            }
            Difference::Contrast => "对比剂".to_owned(),
            Difference::LungVolume([then, now]) => {
                let litres = |ml: &f64| Number(ml / 1000.0);
                format!("因呼吸所致的肺容积（{:.1}、{:.1} L）", litres(then), litres(now))
            }
        };
        let named: Vec<String> = all.iter().map(one).collect();
        format!("注意：两次检查的{}不同，数值可能仅因此而变化", named.join("、"))
    }

    fn comparison(&self, date: &str, place: &str, [g0, g1]: [f64; 2], [c0, c1]: [f64; 2]) -> String {
        format!(
            "肺炎与 {date} 对比，{place}：磨玻璃影 {g0:.1} → {g1:.1} %（{:+.1}），实变 {c0:.1} → {c1:.1} %（{:+.1}）",
            Number(g1 - g0),
            Number(c1 - c0),
            g0 = Number::from(g0),
            g1 = Number::from(g1),
            c0 = Number::from(c0),
            c1 = Number::from(c1)
        )
    }

    fn reason(&self, reason: &Reason) -> String {
        match reason {
            Reason::OtherSeries { series } => format!("由同一次扫描的序列 {series} 评估"),
            Reason::Rejected { by } => format!("{by} 审阅时否定"),
            Reason::NotInPackage { package } => format!("模型包 {package} 不包含此项"),
            Reason::TooYoung { years, least } => format!(
                "患者年龄 {years:.0} 岁，模型包要求不小于 {least:.0} 岁",
                years = Number::from(years),
                least = Number::from(least)
            ),
            Reason::BodyPart { part, package } => format!("检查部位为 {part}，模型包适用于 {package}"),
            Reason::SpacingTooLarge { mm, most_mm } => {
                format!(
                    "层间距 {mm:#.2} mm，模型包要求不大于 {most_mm:.1} mm",
                    mm = Number::from(mm),
                    most_mm = Number::from(most_mm)
                )
            }
            Reason::SlicesTooThick { mm, most_mm } => {
                format!(
                    "层厚 {mm:#.2} mm，模型包要求不大于 {most_mm:.1} mm",
                    mm = Number::from(mm),
                    most_mm = Number::from(most_mm)
                )
            }
            Reason::SpacingTooSmall { mm, least_mm } => {
                format!(
                    "层间距 {mm:#.2} mm，模型包要求不小于 {least_mm:.1} mm",
                    mm = Number::from(mm),
                    least_mm = Number::from(least_mm)
                )
            }
            Reason::Noisy { hu, most_hu } => format!(
                "噪声 {hu:.0} HU，模型包要求不大于 {most_hu:.0} HU",
                hu = Number::from(hu),
                most_hu = Number::from(most_hu)
            ),
            Reason::NoiseUnknown { most_hu } => {
                format!("噪声无法测量，模型包要求不大于 {most_hu:.0} HU", most_hu = Number::from(most_hu))
            }
            Reason::PixelsTooLarge { x_mm, y_mm, most_mm } => format!(
                "像素大小为 {:.1} x {:.1} mm，要求不大于 {:.1} mm",
                Number::from(x_mm),
                Number::from(y_mm),
                Number::from(most_mm)
            ),
            Reason::ContrastGiven => "使用了对比剂，模型包要求平扫序列".into(),
            Reason::ContrastMissing => "未使用对比剂，模型包要求增强序列".into(),
            Reason::ContrastUnknown => "图像信息未说明是否使用对比剂，模型包要求明确说明".into(),
            Reason::KernelUnnamed => "图像信息未注明重建核，模型包要求软组织核".into(),
            Reason::KernelSharp { kernel } => format!("重建核 {kernel} 为锐利核，模型包要求软组织核"),
            Reason::KernelTexture => "噪声纹理表明为锐利核，模型包要求软组织核".into(),
            Reason::NoLungs => "未找到肺".into(),
            Reason::NoSpine => "未找到脊柱".into(),
            Reason::OneLung => "仅找到一侧肺".into(),
            Reason::AirSpace { side, ml } => format!(
                "{}胸腔内有 {ml:.0} ml 气体不是肺组织（大量气胸或巨型肺大疱？）",
                self.side(*side),
                ml = Number::from(ml)
            ),
            Reason::FewSlices { slices } => format!("{slices} 层图像不足以构成容积数据"),
            Reason::NoAir => "体内未见含气区域".into(),
            Reason::ImplausibleAir { ml } => format!("体内含气体积 {ml:.0} ml，不符合肺容积", ml = Number::from(ml)),
            Reason::NoLungInScan { ml } => {
                format!("扫描范围内未见肺（体内最大含气区域为 {ml:.0} ml）", ml = Number::from(ml))
            }
            Reason::LungsAtEdge => "肺超出图像边缘".into(),
            Reason::ScanEndsAbove => "扫描范围上端未包括全部肺组织".into(),
            Reason::ScanEndsBelow => "扫描范围下端未包括全部肺组织".into(),
            Reason::ScanEndsBoth => "扫描范围上下两端均未包括全部肺组织".into(),
            Reason::OnlyBases => "扫描范围内仅见肺底（如腹部扫描）".into(),
            Reason::OnlyApices => "扫描范围内仅见肺尖（如头颈部扫描）".into(),
            Reason::BaseCut => "扫描未包括肺的最低部分".into(),
            Reason::ApexCut => "扫描未包括肺尖".into(),
            Reason::ChestWallCut => "图像未包括全部胸壁".into(),
            Reason::HeartMetal => "心脏内或其旁有金属".into(),
            Reason::AgatstonContrast => "使用了对比剂".into(),
            Reason::AgatstonNotGated => "无心电门控".into(),
            Reason::AgatstonGatingUnknown => "不明确是否使用心电门控".into(),
            Reason::AgatstonVoltage { kv } => format!("管电压 {kv:.0} kV（应为 120 kV）", kv = Number::from(kv)),
            Reason::AgatstonVoltageUnknown => "管电压未知".into(),
            Reason::AgatstonSpacing { mm } => format!("层间距 {mm:#.2} mm（应为 2.5 至 3 mm）", mm = Number::from(mm)),
            Reason::AgatstonThickness { mm } => format!("层厚 {mm:#.2} mm（应为 2.5 至 3 mm）", mm = Number::from(mm)),
            Reason::AgatstonKernel { kernel } => format!("锐利重建核 {kernel}"),
            Reason::AgatstonKernelUnknown => "重建核未知".into(),
            Reason::LittleSoftTissue { patches, needed } => {
                format!("可用于测量的软组织区仅 {patches} 处，至少需要 {needed} 处")
            }
            Reason::NoNoise => "软组织各处数值完全相同，不是真实的扫描图像".into(),
            Reason::OnePlace { slices } => format!("{slices} 层图像位于同一位置，至少需要两个位置"),
            Reason::NoVolume { .. } => "该序列无法构成容积数据".into(),
            Reason::Stored(sentence) => sentence.clone(),
        }
    }

    fn not_evaluated(&self, topic: Topic, reason: &str) -> String {
        let what = match topic {
            Topic::Lungs => "肺",
            Topic::Lobes => "肺叶",
            Topic::Finding(finding) => self.name(finding),
            Topic::Noise => "噪声",
            Topic::Slices => "层面",
            Topic::Unnamed => return reason.to_owned(),
        };
        format!("{what}未评估：{reason}")
    }

    fn seen_in_part(&self, reason: &str) -> String {
        format!("仅限扫描所见部分（{reason}）")
    }

    fn least_size(&self, least: &LeastSize) -> String {
        if least.finding == ChestFinding::CoronaryCalcification {
            return format!("此层间距（{:#.2} mm）下可能漏检少于 {} 的钙化", Number(least.slice_mm), least.words());
        }
        format!("小于 {} 者在此层间距（{:#.2} mm）下未评估", least.words(), Number(least.slice_mm))
    }

    fn reviewed(&self, by: &str, date: &str) -> String {
        format!("已由 {by} 审阅，{date}")
    }

    fn remark(&self, remark: &Remark) -> String {
        match remark {
            Remark::Position { position, said, drawn } => format!(
                "图像信息自相矛盾：检查体位为{}（{position}），而图像方向显示为{}；左右可能有误",
                lying(*said),
                lying(*drawn)
            ),
            Remark::PixelsNotSquare { x_mm, y_mm } => {
                format!("像素不是正方形（{:.2} x {:.2} mm）", Number::from(x_mm), Number::from(y_mm))
            }
            Remark::Measured { said } => {
                format!("影像头未说明像素值为 HU 值（{said}）：因空气和软组织的测量值相符，已按 HU 读取")
            }
            Remark::NotReceived { missing, declared } => {
                format!("设备报告本序列共采集 {declared} 幅图像，其中 {missing} 幅未收到")
            }
            Remark::Rejected { rejected, total, by } => {
                format!("{by} 审阅时否定了 {total} 项所见中的 {rejected} 项，结果中不再包含")
            }
            Remark::Edited { edited, total, by } => format!("{by} 审阅时修改了 {total} 项所见中的 {edited} 项"),
            Remark::ReviewNotApplied { by, why } => format!("{by} 的审阅未生效：{}", not_applied(why)),
            Remark::Discontinued => "设备报告本次检查已中止".to_owned(),
            Remark::NotRead { series } => {
                format!("同一次扫描的其他序列未分析，因其不增加信息：序列 {}", series.join("、"))
            }
            Remark::Shared { sharers } => {
                let each = |(sharer, count): &(Sharer, usize)| format!("{} {count} 个", sharer_name(*sharer));
                format!("同一序列中未读取：{}", sharers.iter().map(each).collect::<Vec<_>>().join("、"))
            }
            Remark::CutOff { findings } => {
                let names: Vec<&str> = findings.iter().map(|finding| self.name(*finding)).collect();
                format!("病变在扫描范围或图像边缘被截断，大小和体积为下限值：{}", names.join("、"))
            }
            Remark::Tilted { degrees } => format!(
                "扫描机架倾斜 {:.1} 度：分析时已将层面重采样为直立的层叠，结果标注在原始层面上",
                Number::from(degrees)
            ),
            Remark::FilledIn { place: at, fault, apart_mm } => format!(
                "{}{}：已由相邻两层（相距 {:.1} mm）插值补全，仅见于该层的病变无法看到",
                place(at),
                slice_fault(*fault),
                Number::from(apart_mm)
            ),
            Remark::LeftOut { count, total, first, last, why } => {
                let range = if first == last { place(first) } else { format!("{}至{}", place(first), place(last)) };
                format!("{total} 层中有 {count} 层未分析（{range}）：{}", beyond(*why))
            }
        }
    }

    fn refusal(&self, refusal: &Refusal) -> String {
        match refusal {
            Refusal::TooFew { count, needed } => {
                format!("仅有 {count} 层图像：构成容积数据至少需要 {needed} 层；请发送完整序列")
            }
            Refusal::NoGeometry { missing, count, total, numbers } => format!(
                "{}缺少{}：无法确定其在患者体内的位置；请导出原始序列，不要使用经转换或重组的图像",
                some(*count, *total, numbers),
                fact(*missing)
            ),
            Refusal::MixedFrameOfReference { count } => format!(
                "图像分属 {count} 个不同的参考坐标系：位置无法相互比较；请将每次采集作为单独的序列，采集之间不要重新摆位"
            ),
            Refusal::MixedOrientation { count, total, usual, other, numbers } => format!(
                "{}方向不同（{}，其余为{}）：序列中混有定位像或重组图像；请将其作为单独的序列发送",
                some(*count, *total, numbers),
                plane(*other),
                plane(*usual)
            ),
            Refusal::MixedMatrix { count, total, usual, other, numbers } => format!(
                "{}的矩阵为 {} x {}，其余为 {} x {}：请用同一矩阵重建整个序列",
                some(*count, *total, numbers),
                other[0],
                other[1],
                usual[0],
                usual[1]
            ),
            Refusal::MixedPixelSpacing { count, total, usual, other, numbers } => format!(
                "{}的像素大小为 {:.3} x {:.3} mm，其余为 {:.3} x {:.3} mm：请用同一视野重建整个序列",
                some(*count, *total, numbers),
                other[0],
                other[1],
                usual[0],
                usual[1]
            ),
            Refusal::DuplicatePosition { places, first, second } => format!(
                "{places} 个位置上有不止一层图像，例如{}与{}：同一序列中含有两个期相、两次采集或两种重建，或同一图像以两个不同的标识符发送；\
                 请分别作为单独的序列发送",
                place(first),
                place(second)
            ),
            Refusal::Tilt { degrees, drift_mm, extent_mm } => format!(
                "层面倾斜 {degrees:.1} 度：在 {extent_mm:.0} mm 范围内横向偏移 {drift_mm:.1} mm（机架倾斜）；\
                 请勿倾斜机架扫描，或由扫描设备重建为无倾斜的层面",
                degrees = Number::from(degrees),
                extent_mm = Number::from(extent_mm),
                drift_mm = Number::from(drift_mm)
            ),
            Refusal::SidewaysShift { slice, shift_mm } => format!(
                "{}相对其他层面横向偏移 {shift_mm:.1} mm：序列中途视野发生移动；请用同一中心重建整个序列",
                place(slice),
                shift_mm = Number::from(shift_mm)
            ),
            Refusal::MissingSlices { spacing_mm, gaps } => missing_slices(gaps, *spacing_mm),
            Refusal::UnevenSpacing { min_mm, max_mm, at } => format!(
                "层间距不均匀：相邻层面相距 {min_mm:.2} 至 {max_mm:.2} mm，首处位于{}与{}之间；请用同一层间距重建整个序列",
                place(&at[0]),
                place(&at[1]),
                min_mm = Number::from(min_mm),
                max_mm = Number::from(max_mm)
            ),
            Refusal::NoRescale { count, total, numbers } => {
                format!("{}没有重缩放斜率和截距：其数值不是 HU 值；请导出原始序列", some(*count, *total, numbers))
            }
            Refusal::ModalityLut { count, total } => {
                format!("{total} 层图像中有 {count} 层使用模态查找表（不支持），没有重缩放斜率和截距；请导出原始序列")
            }
            Refusal::OtherQuantity { quantity: what, said, count, total } => format!(
                "{total} 层图像中有 {count} 层的数值不是 HU 值，而是{}（{said}）；请发送原始序列",
                quantity(*what)
            ),
            Refusal::Monoenergetic { kev, least, most } => format!(
                "虚拟单能量图像（{}）：只有 {:.0} 至 {:.0} keV 的 HU 值与 120 kV 时相近；请发送常规序列",
                kev.map_or_else(|| "能量未知".to_owned(), |kev| format!("{:.0} keV", Number(kev))),
                Number::from(least),
                Number::from(most)
            ),
            Refusal::OffScale { shift, air_hu, tissue_hu } => format!(
                "其数值不是 HU 值：空气测得 {:.0} HU，软组织测得 {:.0} HU，应分别约为 -1000 和 40（{}）；请导出原始序列",
                Number::from(air_hu),
                Number::from(tissue_hu),
                match shift {
                    Shift::Twice => "截距被应用了两次",
                    Shift::NotAtAll => "截距未被应用",
                }
            ),
            Refusal::NoAirScale { background_hu } => format!(
                "其数值不是 HU 值：没有与空气相符的数值，背景为 {:.0} HU（可能是参数图）；请发送原始序列",
                Number::from(background_hu)
            ),
            Refusal::BlankSlices { count, total, first } => {
                format!("{total} 层图像中有 {count} 层没有图像内容或内容异常，首处为{}；请重新发送该序列", place(first))
            }
            Refusal::OddSlices { count, total, first, by_hu, usual_hu } => format!(
                "{total} 层图像中有 {count} 层与相邻层面不符，首处为{}：与两侧相邻层面平均相差 {by_hu:.0} HU，\
                 而两侧层面之间仅相差 {usual_hu:.0} HU（图像截断、重缩放或重建不同，或属于其他患者）；请重新发送该序列",
                place(first),
                by_hu = Number::from(by_hu),
                usual_hu = Number::from(usual_hu)
            ),
            Refusal::WrittenSlices { count, total, first } => format!(
                "{total} 层图像中有 {count} 层烧录了文字或标记，或与相邻层面不符，首处为{}；请发送原始序列",
                place(first)
            ),
            Refusal::TooLarge { needed_mib, limit_mib } => format!(
                "数据量超出本设备的处理能力：解码和分析需要 {needed_mib} MiB 内存，上限为 {limit_mib} MiB；\
                 请发送层数较少或矩阵较小的重建，或请设备管理员调高内存上限"
            ),
            Refusal::TwoParts { before, after, by_hu, usual_hu } => format!(
                "序列由不相符的两部分组成：{}与{}之间图像平均变化 {by_hu:.0} HU，附近层面之间仅为 {usual_hu:.0} HU；\
                 请将每一部分作为单独的序列发送",
                place(before),
                place(after),
                by_hu = Number::from(by_hu),
                usual_hu = Number::from(usual_hu)
            ),
        }
    }

    fn slice_fault(&self, number: Option<i64>, fault: &DecodeError) -> String {
        let slice = number.map_or_else(|| "一层无编号的图像".to_owned(), |number| format!("图像 {number} "));
        format!("{slice}无法使用：{}", pixels(fault))
    }

    fn patients(&self, what: Mixed, marks: &[String]) -> String {
        let what = match what {
            Mixed::Series => "同一序列",
            Mixed::Study => "同一检查",
        };
        format!(
            "{what}中含有 {} 名患者的图像：未以其中任何一名患者的名义进行分析（以标记代替患者编号：{}）；\
             请在图像来源处更正患者身份，并将每名患者的图像分别发送",
            marks.len(),
            marks.join("、")
        )
    }

    fn no_picture(&self, reasons: &[(NotRead, usize)]) -> String {
        let said = |(why, count): &(NotRead, usize)| {
            let why = not_read(why);
            if *count == 1 { why } else { format!("{why}（{count} 幅图像）") }
        };
        let (named, rest) = stills::named(reasons);
        let rest = (rest > 0).then(|| format!("另有 {rest} 幅图像因其他原因未分析"));
        format!("乳腺超声：未能分析任何图像：{}", named.iter().map(said).chain(rest).collect::<Vec<_>>().join("；"))
    }

    fn no_size(&self, why: NoSize) -> &'static str {
        match why {
            NoSize::NoScale => "未测量大小：图像没有比例尺",
            NoSize::Implausible => "未测量大小：文件头中的比例尺不可能属于乳腺图像",
            NoSize::OtherImage => "未测量大小：文件头中的比例尺属于另一种图像尺寸",
        }
    }

    fn picture(&self, number: Option<i64>, frame: Option<u32>) -> String {
        let number = number.map_or_else(|| "无编号的图像".to_owned(), |number| format!("图像 {number}"));
        frame.map_or_else(|| number.clone(), |frame| format!("{number}，第 {frame} 帧"))
    }

    fn lesion(&self, id: u32) -> String {
        format!("病灶 {id}")
    }

    fn malignant(&self, score: f32) -> String {
        format!("良性（0）至恶性（1），未校准：{score:.2}")
    }

    fn breast_ultrasound(&self) -> &'static str {
        "乳腺超声"
    }

    fn mammography(&self) -> &'static str {
        "乳腺X线摄影"
    }

    fn standard_view(&self, view: StandardView) -> &'static str {
        match view {
            StandardView::RightCc => "右乳CC位",
            StandardView::LeftCc => "左乳CC位",
            StandardView::RightMlo => "右乳MLO位",
            StandardView::LeftMlo => "左乳MLO位",
        }
    }

    fn mark_kind(&self, kind: Kind) -> &'static str {
        match kind {
            Kind::Mass => "肿块",
            Kind::Calcifications => "钙化",
            Kind::Asymmetry => "不对称致密",
            Kind::Distortion => "结构扭曲",
        }
    }

    fn mark_stage(&self, stage: Stage) -> &'static str {
        match stage {
            Stage::OneView => "各投照位单独分析",
            Stage::TwoViews => "同侧两个投照位对照",
            Stage::TwoBreasts => "同侧两个投照位及双侧乳腺对照",
        }
    }

    fn marks_counted(&self, marks: usize, views: usize) -> String {
        match marks {
            0 => format!("{views} 个投照位中没有标记"),
            n => format!("{views} 个投照位中有 {n} 处标记"),
        }
    }

    fn mark(&self, mark: &Mark, view: StandardView) -> String {
        let [long, short] = mark.size_mm.map(|mm| Number(mm.into()));
        let (kind, behind) = (self.mark_kind(mark.kind), Number(mark.behind_nipple_mm.into()));
        let view = self.standard_view(view);
        let score = if mark.score.is_nan() { "不再给出".to_owned() } else { format!("{:.2}", mark.score) };
        format!("{view}{kind}，乳头后方 {behind:.0} mm，{long:.0} x {short:.0} mm，评分 {score}")
    }

    fn breast_scores(&self, right: Option<f32>, left: Option<f32>) -> String {
        let said = |score: Option<f32>| score.map_or_else(|| "无".to_owned(), |score| format!("{score:.2}"));
        format!("右乳评分 {}，左乳评分 {}", said(right), said(left))
    }

    fn withheld(&self, why: Withheld) -> &'static str {
        match why {
            Withheld::NotRead => "图像未被读取",
            Withheld::NoSpacing => "文件头中没有像素大小",
            Withheld::ChestWall => "乳腺既不在图像左侧也不在右侧",
            Withheld::Film => "数字化胶片或IP板图像，已知网络对其无效",
            Withheld::Coarse => "像素大于 0.2 mm，已知网络对其无效",
            Withheld::ForProcessing => "仅供后处理的图像",
            Withheld::Partial => "仅显示部分乳腺",
            Withheld::OtherSide => "图像左右颠倒或标注错误",
            Withheld::NoPhantom => "文件头未说明所示为体模",
        }
    }

    fn withheld_in(&self, views: &str, why: &str) -> String {
        format!("{views}不给出标记：{why}")
    }

    fn phantoms_only(&self) -> &'static str {
        "网络仅用体模训练，不能说明患者的任何情况"
    }

    fn not_marked(&self) -> &'static str {
        "未用网络寻找可疑处"
    }

    fn mammogram_lines(&self) -> [&'static str; 3] {
        ["乳腺轮廓", "胸大肌边缘", "乳头（估算）"]
    }

    fn noise(&self, noise: &Noise) -> String {
        let kernel = match noise.kernel {
            Kernel::Smooth => "平滑",
            Kernel::Sharp => "锐利",
        };
        format!(
            "噪声 {:.1} HU，{kernel}重建核（噪声平均频率 {:.2} /mm）",
            Number(noise.hu),
            Number(noise.frequency_per_mm)
        )
    }

    fn slices(&self, slices: &Slices) -> String {
        let thick =
            slices.thickness_mm.map(|mm| format!("，层厚 {mm:.2} mm", mm = Number::from(mm))).unwrap_or_default();
        let cover = match slices.cover {
            None => "，图像信息未注明层厚".to_owned(),
            Some(Cover::Contiguous) => "（层面连续）".to_owned(),
            Some(Cover::Overlap(mm)) => format!("（重叠 {mm:.2} mm）", mm = Number::from(mm)),
            Some(Cover::Gap(mm)) => format!("（间隔 {mm:.2} mm）", mm = Number::from(mm)),
        };
        let mut faults = String::new();
        if slices.missing > 0 {
            faults += &format!("，缺少 {} 层", slices.missing);
        }
        if slices.doubled > 0 {
            faults += &format!("，{} 层位置重复", slices.doubled);
        }
        if slices.uneven > 0 {
            faults += &format!("，{} 处间距不均匀", slices.uneven);
        }
        let faults = if faults.is_empty() { "，无缺层" } else { &faults };
        format!("共 {} 层，层间距 {:.2} mm{thick}{cover}{faults}", slices.count, Number(slices.spacing_mm))
    }

    fn motion_not_assessed(&self) -> &'static str {
        "未评估运动伪影"
    }

    fn page(&self) -> &'static Page {
        &PAGE
    }

    fn more_in_report(&self, count: usize) -> String {
        format!("另有 {count} 处：见结构化报告")
    }

    fn slice(&self, number: usize, of: usize, mm: f64) -> String {
        format!("第 {number} 层，共 {of} 层，z {mm:.1} mm", mm = Number::from(mm))
    }

    fn refusal_head(&self) -> [&'static str; 2] {
        ["该序列未处理", "该序列已接收并保存，但未进行任何测量。"]
    }

    fn received(&self, instances: usize, modality: &str, series_number: Option<i64>) -> String {
        let modality = if modality.is_empty() { String::new() } else { format!("   设备类型 {modality}") };
        let number = series_number.map(|n| format!("   序列编号 {n}")).unwrap_or_default();
        format!("已接收 {instances} 幅图像{modality}{number}")
    }
}

impl Edits for Chinese {
    fn field(&self, field: Field) -> &'static str {
        match field {
            Field::Type => "类型",
            Field::Kind => "类别",
            Field::Side => "侧别",
            Field::Lobe => "肺叶",
            Field::Rib => "肋骨序数",
            Field::LongMm => "长径",
            Field::ShortMm => "短径",
            Field::Clock => "钟点位置",
            Field::DistanceMm => "距乳头",
            Field::Shape => "形状",
            Field::Orientation => "方向",
            Field::Margin => "边缘",
            Field::Echo => "回声",
            Field::Posterior => "后方特征",
        }
    }

    fn edited(&self, what: &str, by: &str, changes: &str) -> String {
        format!("{what} 已由 {by} 修改：{changes}")
    }

    fn changed(&self, field: &str, now: &str, was: &str) -> String {
        format!("{field} {now}（原为：{was}）")
    }

    fn not_known(&self) -> &'static str {
        "未知"
    }

    fn numbered(&self, finding: ChestFinding, number: usize) -> String {
        match finding {
            ChestFinding::Nodule => format!("{} {number}", self.form(Form::Nodule)),
            other => format!("{} {number}", self.name(other)),
        }
    }

    fn numbered_mark(&self, number: &str) -> String {
        format!("标记 {number}")
    }

    fn size_withheld(&self, of_nodule: bool) -> &'static str {
        if of_nodule {
            "软件所测大小与此不同，其轮廓、体积、密度和增长不再给出"
        } else {
            "软件所测大小与此不同，其轮廓及轮廓内的测量值不再给出"
        }
    }

    fn class_withheld(&self) -> &'static str {
        "未测量实性成分，不给出其 Lung-RADS 分类，也不给出低于 4B 的总体分类"
    }

    fn not_enlarged(&self) -> &'static str {
        "短径小于 10 mm，不属于肿大淋巴结，结果中不再包含"
    }

    fn score_withheld(&self) -> &'static str {
        "评分属于另一类别，该标记、该侧乳腺和本例的评分不再给出"
    }
}

impl Breast for Chinese {
    fn breast(&self) -> &'static breast::Fixed {
        &BREAST
    }

    fn term(&self, term: Term) -> &'static str {
        match term {
            Term::Shape(Shape::Oval) => "椭圆形",
            Term::Shape(Shape::Round) => "圆形",
            Term::Shape(Shape::Irregular) => "不规则形",
            Term::Orientation(Orientation::Parallel) => "平行生长",
            Term::Orientation(Orientation::NotParallel) => "非平行生长",
            Term::Margin(Margin::Circumscribed) => "边缘清楚",
            Term::Margin(Margin::NotCircumscribed) => "边缘不清楚",
            Term::Echo(Echo::Anechoic) => "无回声",
            Term::Echo(Echo::Hypoechoic) => "低回声",
            Term::Echo(Echo::Heterogeneous) => "回声不均匀",
            Term::Posterior(Posterior::Nothing) => "后方回声无改变",
            Term::Posterior(Posterior::Enhancement) => "后方回声增强",
            Term::Posterior(Posterior::Shadowing) => "后方声影",
        }
    }

    fn described(&self, what: Trait) -> &'static str {
        match what {
            Trait::Shape => "形状",
            Trait::Orientation => "生长方向",
            Trait::Margin => "边缘",
            Trait::Echo => "回声类型",
            Trait::Posterior => "后方回声特征",
        }
    }

    fn category(&self, category: Suggestion) -> String {
        let name = match category {
            Suggestion::Benign => "良性",
            Suggestion::ProbablyBenign => "可能良性",
            Suggestion::Suspicious => "可疑",
        };
        format!("建议分类 {} 类（{name}）", category.number())
    }

    fn because(&self, terms: &str) -> String {
        format!("依据：{terms}")
    }

    fn no_category(&self, why: NoCategory) -> String {
        let why = match why {
            NoCategory::Missing(what) => return format!("不给出建议分类：{}不明", self.described(what)),
            NoCategory::Doubtful => "网络不能充分确定此处有病灶",
            NoCategory::Contradicted => "描述特征属于良性病灶，恶性评分却不符",
            NoCategory::NoLesion => "图像不一定显示整个乳腺",
            NoCategory::SomeLesions => "部分病灶没有建议分类",
            NoCategory::SomePictures => "并非所有图像都经过分析",
            NoCategory::Remarked => "见对本次检查的说明",
        };
        format!("不给出建议分类：{why}")
    }

    fn breast_of(&self, side: Option<Side>) -> &'static str {
        match side {
            Some(Side::Right) => "右侧乳腺",
            Some(Side::Left) => "左侧乳腺",
            None => "乳腺（侧别不明）",
        }
    }

    fn hour(&self, hour: u8) -> String {
        format!("{hour} 点钟方向")
    }

    fn nipple_distance(&self, mm: f64) -> String {
        format!("距乳头 {:.0} mm", Number(mm))
    }

    fn known_lesion(&self, number: u64) -> String {
        format!("患者病灶列表中的病灶 {number}")
    }

    fn earlier(&self, date: &str, modality: &str, size: &str) -> String {
        let modality = match modality {
            "US" => "超声",
            "MG" => "乳腺X线摄影",
            other => other,
        };
        format!("{date}（{modality}）：{size}")
    }

    fn looked_at(&self, images: usize, clips: usize, [seen, of]: [usize; 2]) -> String {
        let clips = (clips > 0).then(|| format!("{clips} 段动态图像（{of} 帧中的 {seen} 帧）"));
        let images = (images > 0).then(|| format!("{images} 幅图像"));
        images.into_iter().chain(clips).collect::<Vec<_>>().join("和")
    }

    fn recorded(&self, clips: usize, pictures: usize) -> String {
        format!("实时检查，保留 {clips} 段动态图像和 {pictures} 幅关键图像")
    }

    fn not_looked_at(&self, images: usize) -> String {
        format!("{images} 幅图像全部或部分未分析")
    }

    fn more_lesions(&self, count: usize) -> String {
        format!("另有 {count} 个病灶未列出")
    }

    fn seen_once(&self, count: usize) -> String {
        format!("另有 {count} 处仅见于动态图像的一帧，未列为病灶")
    }

    fn no_lesion_in(&self, looked: &str) -> String {
        format!("{looked}中未发现病灶")
    }

    fn coverage_of(&self, side: Side, looked_at: usize, all: usize) -> String {
        format!("{}：共 {all} 个部位，已扫查 {looked_at} 个", self.breast_of(Some(side)))
    }

    fn covered(&self, state: Covered) -> &'static str {
        match state {
            Covered::LookedAt => "已扫查",
            Covered::TooShort => "停留过短或探头未移动",
            Covered::TooFast => "扫查过快",
            Covered::PoorContact => "接触不良",
            Covered::NotJudged => "未评估",
            Covered::NotSwept => "未扫查",
        }
    }

    fn spot(&self, spot: Spot) -> String {
        match spot {
            Spot::Hour(hour, Ring::Inner) => format!("{hour} 点内环"),
            Spot::Hour(hour, Ring::Middle) => format!("{hour} 点中环"),
            Spot::Hour(hour, Ring::Outer) => format!("{hour} 点外环"),
            Spot::Nipple => "乳头".into(),
            Spot::Axilla => "腋窝".into(),
        }
    }

    fn places(&self, count: usize) -> String {
        format!("{count} 个部位")
    }

    fn rules(&self, source: &str) -> String {
        format!(
            "分类是软件根据描述特征、按已发表的规则给出的建议：{source}。它不是医师的评估。从不建议 0、1、5、6 类及 4 类的亚类。"
        )
    }
}

const BREAST: breast::Fixed = breast::Fixed {
    title: "乳腺超声 AI 所见（草稿）",
    dicom_title: "Breast ultrasound AI findings (draft), in Chinese",
    examination: "检查",
    reviewed: "审阅",
    findings: "所见",
    impression: "印象",
    rules: "建议分类",
    none_known: "这些病灶均不能确定为本机既往检查中已知的病灶。",
    not_found_by_it: "未评估的内容",
    non_mass: "非肿块型病灶未评估：网络没有相应的输出。",
    not_evaluated: "病灶未评估：没有网络分析过图像",
    cut_short: "检查中途中断，或未全部保留",
    not_measured: "未测量",
    gone: "已消失",
    no_earlier: "没有更早日期的检查",
    coverage: "扫查覆盖（徒手估计）",
    coverage_note: "徒手估计：探头位置由检查者指明，速度由图像估计。它既不证明某部位已完整扫查，也不证明未扫查。",
    note: "描述特征、大小和分类由软件给出。病灶位置来自扫描仪或人员的说明。同一病灶可能出现在多幅图像中。",
};

const PAGE: Page = Page {
    title: "胸部CT",
    overview: "分析结果总览",
    draft: "自动生成的草稿，未经医师审核",
    coronal: "冠状位，肺",
    coronal_lobes: "冠状位，肺与肺叶",
    lungs: ["肺", "体积", "平均值"],
    both: "双肺",
    laa_950: "LAA-950：低于 -950 HU 的肺体素",
    states: ["发现", "未发现", "未评估"],
    images: "图像",
    colours: "琥珀色：磨玻璃影   红色：实变",
    ground_glass: "磨玻璃影",
    consolidation: "实变",
    emphysema: "低于 -950 HU",
};

const DOCUMENT: Document = Document {
    title: "胸部CT人工智能分析（草稿）",
    dicom_title: "Chest CT AI findings (draft), in Chinese",
    reviewed_title: "胸部CT人工智能分析（已审阅）",
    reviewed_dicom_title: "Chest CT AI findings (reviewed), in Chinese",
    mark: "不得用于诊断 - 仅供研究与工程使用",
    head: "分析结果",
    technique: "检查技术",
    comparison: "与既往检查对比",
    impression: "印象",
    extents: ["肺炎累及部位", "体积", "磨玻璃影", "实变"],
    lungs: "肺",
    quality: "图像质量",
    made: "生成信息",
    draft: "自动生成的草稿，未经医师审核。",
    note: "坐标与轮廓见结构化报告和分割对象。",
    states: ["发现", "未发现", "未评估"],
    patient: ["姓名", "患者编号", "出生日期", "性别", "检查日期", "检查号", "检查描述"],
};

/// A part of the slices, with their numbers where they have any.
fn some(count: usize, total: usize, numbers: &[i64]) -> String {
    let listed: Vec<String> = numbers.iter().take(LISTED).map(i64::to_string).collect();
    let more = numbers.len().saturating_sub(LISTED);
    let more = if more > 0 { format!("，另有 {more} 层") } else { String::new() };
    let numbers = if listed.is_empty() { String::new() } else { format!("（编号 {}{more}）", listed.join("、")) };
    format!("{total} 层图像中有 {count} 层{numbers}")
}

fn place(place: &Place) -> String {
    match place.number {
        Some(number) => format!("图像 {number}（{} = {:.1} mm）", place.axis, Number(place.mm)),
        None => format!(" {} = {:.1} mm 处的图像", place.axis, Number(place.mm)),
    }
}

fn not_read(why: &NotRead) -> String {
    match why {
        NotRead::Painted { percent } => format!("彩色覆盖图像的 {percent} %（彩色多普勒、弹性成像等）"),
        NotRead::ColourFlow => "文件头说明其为彩色多普勒图像".into(),
        NotRead::Rendered => "文件头说明其为三维重建图像".into(),
        NotRead::NoTissue => "文件头未标明 B 型图像区域（仅有 M 型、频谱或图形）".into(),
        NotRead::NoSector => "图像中未找到超声图像区域".into(),
        NotRead::OtherPart { part } => format!("文件头说明其为其他部位（{part}）"),
        NotRead::TooLarge { needed_mib, limit_mib } => {
            format!("解码需要 {needed_mib} MiB 内存，上限为 {limit_mib} MiB")
        }
        NotRead::Depth { bits } => format!("每个样本仅有 {bits} 位，不足以表示灰阶"),
        NotRead::ColourSpace { photometric } => format!("无法读取其颜色（{photometric}）"),
        NotRead::Pixels(fault) => pixels(fault),
    }
}

fn slice_fault(fault: SliceFault) -> &'static str {
    match fault {
        SliceFault::Missing => "缺失",
        SliceFault::Blank => "无图像内容",
        SliceFault::Odd => "与相邻层面不符",
        SliceFault::Written => "图像内有烧录的文字或标记",
        SliceFault::Unreadable => "无法读取",
        SliceFault::Units => "数值不是 HU",
        SliceFault::Direction => "方向与其他层面不同",
        SliceFault::Pixels => "像素数目或大小与其他层面不同",
    }
}

fn not_applied(why: &NotApplied) -> String {
    match why {
        NotApplied::Package => "现用的模型包与审阅时不同".to_owned(),
        NotApplied::Gone { id } => format!("已找不到 {id}，或其位置已变"),
        NotApplied::New { id } => format!("新出现的 {id} 未经审阅"),
        NotApplied::Name => "图像的字符集无法书写签名者姓名，请用拉丁字母签名".to_owned(),
    }
}

fn beyond(why: Beyond) -> String {
    match why {
        Beyond::Fault(fault) => slice_fault(fault).to_owned(),
        Beyond::Gap { apart_mm, usual_mm } => {
            format!("位于 {:.1} mm 的间隙之外（其余层间距 {:.1} mm）", Number(apart_mm), Number(usual_mm))
        }
        Beyond::Spacing { mm, usual_mm } => {
            format!("层间距为 {:.1} mm，已分析部分为 {:.1} mm", Number(mm), Number(usual_mm))
        }
    }
}

fn lying(lying: Lying) -> &'static str {
    match lying {
        Lying::Supine => "仰卧",
        Lying::Prone => "俯卧",
        Lying::Side => "侧卧",
    }
}

fn quantity(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Concentration => "某种物质的浓度",
        Quantity::AtomicNumber => "有效原子序数",
        Quantity::ElectronDensity => "电子密度",
        Quantity::Modified => "去除或改变了某种物质后的衰减值",
        Quantity::Map => "参数图",
        Quantity::Derived => "由其他图像计算得出的数值",
        Quantity::Unknown => "其他单位",
    }
}

fn fact(fact: Fact) -> &'static str {
    match fact {
        Fact::Position => "位置信息（ImagePositionPatient）",
        Fact::Direction => "方向信息（ImageOrientationPatient，应为两个相互垂直的单位向量）",
        Fact::PixelSpacing => "像素间距（PixelSpacing）",
        Fact::Pixels => "图像矩阵（Rows、Columns）",
    }
}

fn plane(plane: SlicePlane) -> &'static str {
    match plane {
        SlicePlane::Sagittal => "矢状位",
        SlicePlane::Coronal => "冠状位",
        SlicePlane::Axial => "横断位",
        SlicePlane::Oblique => "斜位",
    }
}

fn missing_slices(gaps: &[Gap], spacing_mm: f64) -> String {
    let missing: usize = gaps.iter().map(|gap| gap.missing).sum();
    let one = |gap: &Gap| format!("{}与{}之间缺 {} 层", place(&gap.before), place(&gap.after), gap.missing);
    let listed: Vec<String> = gaps.iter().take(LISTED).map(one).collect();
    let more = gaps.len().saturating_sub(LISTED);
    let more = if more > 0 { format!("，另有 {more} 处") } else { String::new() };
    format!(
        "缺少 {missing} 层图像（层间距 {spacing_mm:.2} mm）：{}{more}；请重新发送该序列",
        listed.join("，"),
        spacing_mm = Number::from(spacing_mm)
    )
}

/// Details that come from a decoder or are values of the header stay as they are, in brackets.
fn sharer_name(sharer: Sharer) -> &'static str {
    match sharer {
        Sharer::Localiser => "定位像",
        Sharer::DoseReport => "剂量报告",
        Sharer::SecondaryCapture => "二次采集图像",
        Sharer::Reformat => "重组图像",
        Sharer::PresentationState => "显示状态",
        Sharer::Other => "其他对象",
    }
}

fn pixels(fault: &DecodeError) -> String {
    match fault {
        DecodeError::NoPixelData => "没有像素数据".into(),
        DecodeError::Read { reason } => format!("无法从存储中读取（{reason}）"),
        DecodeError::Damaged => "图像接收后在本机磁盘上损坏；请重新发送".into(),
        DecodeError::Gone => "图像已从本机清除；请重新发送".into(),
        DecodeError::NotGrey { what } => format!("像素不是 8 位或 16 位灰度值（{what}）"),
        DecodeError::NotAPicture { what } => format!("像素不是 1 或 3 个通道的 8 位或 16 位图像（{what}）"),
        DecodeError::Size { rows, columns, frames } => {
            format!("{columns} x {rows} 像素、{frames} 帧的尺寸无法解码")
        }
        DecodeError::Truncated { needed, present } => format!(
            "像素数据缺少 {} 字节：图像信息注明 {needed} 字节，实际为 {present} 字节",
            needed.saturating_sub(*present)
        ),
        DecodeError::TransferSyntax { uid, name } => {
            format!("本机无法解码传输语法 {name}（{uid}）：请发送未压缩或无损压缩的图像")
        }
        DecodeError::JpegExtended { precision } => {
            format!("本机无法解码 {precision} 位 JPEG（扩展过程）：请发送无损压缩的图像")
        }
        DecodeError::Fragments { reason } => format!("压缩的像素数据已损坏（{reason}）"),
        DecodeError::Disagrees { frame, found, expected } => {
            format!("第 {frame} 帧：压缩图像为 {found}，图像信息注明 {expected}")
        }
        DecodeError::Codec { frame, reason } => format!("第 {frame} 帧无法解码（{reason}）"),
        DecodeError::NoDecoder { frame, reason } => format!("第 {frame} 帧未解码（{reason}）"),
        DecodeError::Scale { slope, intercept } => {
            format!("斜率（RescaleSlope）{slope} 与截距（RescaleIntercept）{intercept} 无法换算为 HU")
        }
        DecodeError::DataSet { reason } => format!("无法读取数据集（{reason}）"),
    }
}
