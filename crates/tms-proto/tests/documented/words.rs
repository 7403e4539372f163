//! What the generated tables say, in both languages.

use tms_proto::{
    Function, PendingWork, Refusal,
    profile::{Direction, Remedy},
};

/// A language of the documents.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    Chinese,
}

use Language::{Chinese, English};

impl Language {
    pub(crate) const ALL: [Self; 2] = [English, Chinese];

    /// The name of a document in this language.
    pub(crate) fn file(self, name: &str) -> String {
        match self {
            English => format!("{name}.md"),
            Chinese => format!("{name}.zh-CN.md"),
        }
    }

    pub(crate) fn pick<'a>(self, english: &'a str, chinese: &'a str) -> &'a str {
        if self == English { english } else { chinese }
    }
}

pub(crate) fn function(function: Function, language: Language) -> String {
    let chinese = match function {
        Function::SignOn => "签到",
        Function::SignOff => "签退",
        Function::Echo => "回响测试",
        Function::KeyExchange => "密钥交换",
        Function::KeyRequest => "密钥申请",
        Function::Status => "状态上送",
        Function::Report => "报告",
        Function::Alarm => "告警",
        Function::Parameters => "参数申请",
        Function::TmsParameters => "TMS 参数",
        Function::TmsParametersEnd => "TMS 参数结束",
        Function::CapkList => "CAPK 查询",
        Function::CapkDownload => "CAPK 下载",
        Function::CapkEnd => "CAPK 下载结束",
        Function::AidList => "AID 查询",
        Function::AidDownload => "AID 下载",
        Function::AidEnd => "AID 下载结束",
        Function::Blacklist => "黑名单下载",
        Function::BlacklistEnd => "黑名单下载结束",
        Function::Contactless => "非接业务参数下载",
        Function::ContactlessEnd => "非接业务参数下载结束",
        Function::PinFreeBins => "免密新增 BIN 表下载",
        Function::PinFreeBinsEnd => "免密新增 BIN 表下载结束",
        Function::PinFreeBlacklist => "免密卡 BIN 黑名单下载",
        Function::PinFreeBlacklistEnd => "免密卡 BIN 黑名单下载结束",
        Function::ParameterPush => "参数下推",
        Function::FileRead => "读文件",
        Function::TaskPoll => "任务查询",
        Function::Command => "命令",
        Function::TaskResult => "任务结果",
        Function::LogUpload => "日志上送",
        Function::JournalUpload => "流水上送",
        Function::Settlement => "批结算",
        Function::BatchUpload => "批上送",
        Function::BatchEnd => "批上送结束",
        Function::TmkKey => "TMK 公钥",
        Function::TmkRequest => "TMK 申请",
        Function::TmkActivate => "TMK 启用",
        _ => panic!("{function} has no Chinese name"),
    };
    match language {
        English => function.to_string(),
        Chinese => chinese.to_owned(),
    }
}

pub(crate) fn direction(direction: Direction, language: Language) -> &'static str {
    match direction {
        Direction::Terminal => "T→H",
        Direction::Host => "H→T",
        Direction::Both => language.pick("both", "双向"),
    }
}

pub(crate) fn refusal(refusal: Option<Refusal>, language: Language) -> String {
    let Some(refusal) = refusal else { return language.pick("done", "成功").to_owned() };
    let chinese = match refusal {
        Refusal::InvalidTerminal => "终端未登记，或不是证书所写的终端",
        Refusal::InvalidMerchant => "商户未登记，或与终端不符",
        Refusal::NotPermitted => "不允许",
        Refusal::FormatError => "格式错，或缺少必备域",
        Refusal::NotSupported => "不支持的功能",
        Refusal::NotFound => "没有所要的对象",
        Refusal::OutOfRange => "偏移或长度超出范围",
        Refusal::Duplicate => "已收过",
        Refusal::Busy => "忙，稍后再试",
        Refusal::SignOnAgain => "须重新签到",
        Refusal::MacWrong => "缺少 MAC 或 MAC 错",
        Refusal::SystemError => "系统故障",
        _ => panic!("{refusal} has no Chinese name"),
    };
    match language {
        English => refusal.to_string(),
        Chinese => chinese.to_owned(),
    }
}

pub(crate) fn remedy(refusal: Option<Refusal>, language: Language) -> &'static str {
    match refusal.map(Refusal::remedy) {
        None => "—",
        Some(Remedy::Retry) => language.pick("ask again later", "稍后重发"),
        Some(Remedy::SignOn) => language.pick("sign on again, then repeat", "重新签到后重发"),
        Some(Remedy::GiveUp) => language.pick("final", "不再重发"),
        Some(_) => panic!("a remedy without a name"),
    }
}

pub(crate) fn work(work: PendingWork, language: Language) -> String {
    let (english, chinese) = match work {
        PendingWork::Parameters => ("parameters to fetch", "下载参数"),
        PendingWork::Status => ("status wanted", "上送状态"),
        PendingWork::SignOn => ("sign on again", "重新签到"),
        PendingWork::Capk => ("public keys (CAPK) to fetch", "更新公钥 (CAPK)"),
        PendingWork::Aid => ("chip application parameters (AID) to fetch", "下载 IC 卡参数 (AID)"),
        PendingWork::TmsParameters => ("TMS parameters to fetch", "TMS 参数下载"),
        PendingWork::Blacklist => ("blacklist to fetch", "卡 BIN 黑名单下载"),
        PendingWork::Rates => ("rates to fetch", "汇率或费率下载"),
        PendingWork::Contactless => ("contactless parameters to fetch", "非接业务参数下载"),
        PendingWork::PinFreeBins => ("card ranges without PIN to fetch", "免密新增 BIN 表下载"),
        PendingWork::PinFreeBlacklist => ("their blacklist to fetch", "免密卡 BIN 黑名单下载"),
        PendingWork::Task => ("a task to fetch", "查询任务"),
        _ => panic!("{work} has no name here"),
    };
    language.pick(english, chinese).to_owned()
}

/// Chinese for each outcome of a task, by its code.
pub(crate) const OUTCOMES: &[(u8, &str)] = &[
    (0, "完成"),
    (1, "已接受，结果另报"),
    (2, "未知命令"),
    (3, "当前状态下不能执行"),
    (4, "映像签名无效"),
    (5, "映像的哈希或大小不符"),
    (6, "比现用的旧"),
    (7, "型号或硬件版本不符"),
    (8, "空间不足"),
    (9, "密封内容打不开"),
    (10, "新的不可用，已退回旧的"),
    (11, "文件取不到"),
    (12, "终端故障"),
    (13, "执行中途重启，是否生效未知"),
    (14, "主机已取消"),
    (15, "已有更新的"),
    (16, "时间相差太远"),
    (17, "时间窗已过"),
    (18, "计划中前面的动作失败，已停止"),
    (19, "已被更新的取代"),
    (20, "没有这个名字的对象"),
    (21, "有部件失灵"),
    (22, "内容不可用"),
    (23, "—"),
    (24, "新密码是出厂默认值"),
    (25, "代数超前太多"),
];

/// Chinese for each command, by its code.
pub(crate) const COMMANDS: &[(u8, &str)] = &[
    (1, "重启"),
    (2, "安装固件"),
    (3, "密码轮换：准备"),
    (4, "密码轮换：提交"),
    (5, "密码轮换：验证"),
    (6, "密码轮换：确认"),
    (7, "密码轮换：放弃"),
    (8, "收集日志"),
    (9, "重启应用"),
    (10, "恢复出厂"),
    (11, "锁定"),
    (12, "解锁"),
    (13, "清除冲正"),
    (14, "清除批次"),
    (15, "打印测试签购单"),
    (16, "自检"),
    (17, "诊断"),
    (18, "收集流水"),
    (19, "校时"),
    (20, "显示消息"),
    (21, "更换 TMS 地址"),
    (22, "安装计划"),
    (23, "取消操作"),
];

/// Tag, bytes and meaning of every element of this protocol's own bodies.
pub(crate) const ELEMENTS: &[(u32, &str, &str, &str)] = &[
    (0xDF41, "16", "operation id (UUID)", "操作号 (UUID)"),
    (0xDF42, "1", "step within the operation, from 1", "操作内的步骤号，从 1 起"),
    (0xDF43, "1", "command code", "命令号"),
    (0xDF44, "1", "outcome", "结果"),
    (0xDF45, "..120", "reason, UTF-8, for people", "原因，UTF-8，供人阅读"),
    (0xDF46, "..64", "file name", "文件名"),
    (0xDF47, "8", "offset", "偏移"),
    (0xDF48, "8", "size of the whole (4 bytes for a plan)", "总长（计划用 4 字节）"),
    (0xDF49, "4", "bytes wanted", "要求的字节数"),
    (0xDF4A, "4", "CRC-32 (IEEE) of the data", "数据的 CRC-32 (IEEE)"),
    (0xDF4B, "32", "SHA-256 of the whole", "整体的 SHA-256"),
    (0xDF4C, "..64", "administrator role, for example `99`", "管理员角色，例如 `99`"),
    (0xDF4D, "4", "credential generation", "密码代数"),
    (0xDF4E, "..", "verifier, sealed with HPKE", "用 HPKE 密封的验证值"),
    (0xDF4F, "16", "challenge", "挑战值"),
    (0xDF50, "32", "proof", "证明"),
    (
        0xDF51,
        "..512",
        "parameter or record, `name=value` in UTF-8; repeated",
        "参数或记录，UTF-8 的 `名=值`；可重复",
    ),
    (0xDF52, "8", "revision of the set", "集合的修订号"),
    (0xDF53, "..64", "version of the running image", "运行映像的版本"),
    (0xDF54, "..64", "running slot", "运行的分区"),
    (0xDF55, "4", "starts since manufacture", "出厂以来的启动次数"),
    (
        0xDF56,
        "8",
        "parts: keyboard, PIN pad, card reader, printer, display, paper, tampered (0/1 each), battery percent",
        "部件：键盘、密码键盘、读卡器、打印机、显示屏、有纸、被拆（各 0/1）、电量百分比",
    ),
    (0xDF57, "..64", "model", "型号"),
    (0xDF58, "..64", "hardware revision", "硬件版本"),
    (0xDF59, "4", "security counter of the running image", "运行映像的安全计数器"),
    (0xDF5A, "..64", "credential, `role=generation`; repeated", "密码，`角色=代数`；可重复"),
    (0xDF5B, "8", "most bytes to send", "最多发送的字节数"),
    (0xDF5C, "..", "piece of what is uploaded", "上送内容的一段"),
    (0xDF5D, "4", "generation that the host holds to be in force", "主机认为现用的代数"),
    (0xDF60, "40", "revision 8 and content hash 32 of a set of records", "记录集合的修订号 8 与内容哈希 32"),
    (
        0xDF61,
        "4",
        "part of a push: number 2, count 2; the only one without",
        "下推的第几部分 2、共几部分 2；缺省为唯一一部分",
    ),
    (0xDF62, "..", "record: length of its name 1, name, value; repeated", "记录：名的长度 1、名、值；可重复"),
    (
        0xDF63,
        "1",
        "how a push went: 0 done, 80 part kept, 1 wrong base, 2 stale, 3 record exists, 4 no such record, 5 wrong part, 6 too much, 7 unusable",
        "下推结果：0 完成，80 本部分已收，1 基准不符，2 过时，3 记录已有，4 没有此记录，5 部分次序错，6 太多，7 不可用",
    ),
    (0xDF70, "..", "message or line for people, UTF-8", "给人看的消息或一行文字，UTF-8"),
    (0xDF71, "8", "time, seconds since 1970 UTC, signed", "时间，1970 年起的 UTC 秒数，带符号"),
    (0xDF72, "4", "local time less UTC in seconds, signed", "当地时间减 UTC 的秒数，带符号"),
    (0xDF73, "1", "1: even if it is years away", "1：相差数年也照办"),
    (0xDF74, "2", "seconds on the display, 0 until a key", "显示的秒数，0 为按键为止"),
    (0xDF75, "..", "address `host:port`; repeated", "地址 `主机:端口`；可重复"),
    (0xDF76, "1", "connections to try", "尝试连接的次数"),
    (0xDF77, "..96", "value, `name=value`; repeated", "值，`名=值`；可重复"),
    (0xDF78, "..900", "plan; in a report its status", "计划；报告里为其状态"),
    (0xDF79, "..", "action of a plan; repeated", "计划的一个动作；可重复"),
    (0xDF7A, "4", "id of an action", "动作号"),
    (
        0xDF7B,
        "1 / 9",
        "trigger: 0 at once, 1 and a time (8), 2 next contact, 3 after settlement, 4 by hand",
        "触发：0 立即，1 加时间 (8)，2 下次联机，3 结算后，4 人工",
    ),
    (0xDF7C, "16", "window: start and end (8 each)", "时间窗：起、止（各 8）"),
    (0xDF7D, "5", "retry: delay in seconds (4), count (1)", "重试：间隔秒数 (4)、次数 (1)"),
    (
        0xDF7E,
        "2",
        "on error (0 report, 1 stop, 2 ignore), follow-up (0 none, 1 settle first, 2 restart after)",
        "出错（0 报告，1 停止，2 忽略）、跟随（0 无，1 先结算，2 后重启）",
    ),
    (0xDF7F, "..", "state of an action", "动作的状态"),
    (
        0xDF8140,
        "..",
        "entry of the transaction journal, with the elements DF8141 to DF8149",
        "交易流水的一条，内含 DF8141 至 DF8149",
    ),
    (0xDF8141, "4", "trace of a transaction", "交易流水号"),
    (0xDF8142, "4", "its batch", "其批次"),
    (0xDF8143, "8", "its time, seconds since 1970 UTC, signed", "其时间，1970 年起的 UTC 秒数，带符号"),
    (0xDF8144, "..16", "its kind, such as `sale`", "其种类，例如 `sale`"),
    (0xDF8145, "8", "its amount in minor units", "其金额，最小货币单位"),
    (0xDF8146, "2", "its currency, ISO 4217", "其币种，ISO 4217"),
    (0xDF8147, "..19", "its card, masked", "其卡号，已屏蔽"),
    (0xDF8148, "..3", "DE39 of its answer", "其应答的 DE39"),
    (0xDF8149, "1", "1: it was reversed", "1：已冲正"),
    (
        0xDF8150,
        "16 / ..64",
        "operation to cancel; in an action the part that it is for",
        "要取消的操作；动作里为其对象",
    ),
    (0xDF8151, "4", "first batch wanted", "要的第一个批次"),
    (0xDF8152, "8", "version of a plan", "计划的版本"),
    (0xDF8153, "16", "id of a plan, the operation of its results", "计划号，即其结果的操作号"),
    (
        0xDF8154,
        "..",
        "details of a report, the elements from DF8155 on among them",
        "报告的细节，内含 DF8155 起的元素",
    ),
    (0xDF8155, "1", "1: takes no payments", "1：不受理交易"),
    (
        0xDF8156,
        "..64",
        "`role=1`: its credential is still the default; repeated",
        "`角色=1`：密码仍是默认值；可重复",
    ),
    (0xDF8157, "8", "free storage in bytes", "剩余存储，字节"),
    (0xDF8158, "8", "seconds since the last start", "上次启动以来的秒数"),
    (0xDF8159, "8", "transactions since manufacture", "出厂以来的交易数"),
    (0xDF815A, "8", "connections tried since manufacture", "出厂以来尝试的连接数"),
    (0xDF815B, "8", "of these, with a sign-on", "其中签到成功的"),
    (0xDF815C, "8", "seconds that the clock was last moved by, signed", "上次校时移动的秒数，带符号"),
    (0xDF815D, "32", "SHA-256 of the public keys in force", "现用公钥的 SHA-256"),
    (0xDF815E, "32", "SHA-256 of the application parameters in force", "现用 AID 参数的 SHA-256"),
    (0xDF815F, "32", "SHA-256 of the blacklist in force", "现用黑名单的 SHA-256"),
    (0xDF8160, "4", "current batch", "当前批次"),
    (0xDF8161, "32", "SHA-256 of the parameters in force", "现用参数的 SHA-256"),
    (0xDF8162, "..64", "application, `name=version`; repeated", "应用，`名=版本`；可重复"),
    (0xDF8163, "1", "kind of alarm", "告警种类"),
    (0xDF8164, "1", "severity: 1 info, 2 warning, 3 critical", "级别：1 提示，2 警告，3 严重"),
    (0xDF8165, "8", "sequence of an alarm", "告警序号"),
];

/// What an element is, in English.
pub(crate) fn element(tag: u32) -> Option<&'static str> {
    let emv = [
        (0x9F06, "AID"),
        (0xDF23, "transport key under the RSA key"),
        (0xDF24, "check value of the transport key"),
        (0x9F22, "key index"),
        (0x9F08, "application version"),
        (0x9F09, "application version"),
        (0x9F1B, "floor limit"),
        (0x9F7B, "e-cash limit"),
        (0xDF01, "selection"),
        (0xDF02, "modulus"),
        (0xDF03, "check value"),
        (0xDF04, "exponent"),
        (0xDF05, "expiry"),
        (0xDF06, "hash algorithm"),
        (0xDF07, "signature algorithm"),
        (0xDF11, "TAC default"),
        (0xDF12, "TAC online"),
        (0xDF13, "TAC denial"),
        (0xDF14, "default DDOL"),
        (0xDF15, "threshold"),
        (0xDF16, "most target percent"),
        (0xDF17, "target percent"),
        (0xDF19, "contactless floor limit"),
        (0xDF20, "contactless limit"),
        (0xDF18, "online PIN"),
        (0xDF21, "CVM limit"),
    ];
    let own = ELEMENTS.iter().find(|(known, ..)| *known == tag).map(|(_, _, english, _)| *english);
    let short = own.map(|text| text.split([',', ':', ';']).next().unwrap_or(text));
    short.or_else(|| emv.iter().find(|(known, _)| *known == tag).map(|(_, name)| *name))
}
